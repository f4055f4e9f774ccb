# SPDX-License-Identifier: Apache-2.0
"""The keys that wrap repositories' master keys: from a key file, or from a key manager through
castellan.

Wrapping is AES-256-GCM with a random nonce before the sealed bytes and the caller's context as
associated data. A reference names the key that wrapped, so that a ring can hold older keys beside
the current one. oslo and castellan are imported where they are needed: the repository commands use
a key file alone and count their start-up time.
"""

import base64
import binascii
import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backupsvc import exception
from backupsvc.engine import errors

if TYPE_CHECKING:
    from backupsvc.context import RequestContext

KEY_SIZE = 32
_NONCE_SIZE = 12
FILE_PREFIX = 'file:'
MANAGED_PREFIX = 'castellan:'


class FileKeyring:
    """Keys in a JSON file, ``{"current": reference, "keys": {reference: base64 of 32 bytes}}``,
    mode 0600.

    :param path: the file
    :param create: make it, with a new key, when it does not exist
    :raises DriverFailed: it does not exist, is not of this form, or others than its owner may read
        it
    """

    def __init__(self, path: str, *, create: bool = False):
        self._path = os.path.abspath(path)
        if create and not os.path.exists(self._path):
            self._make()
        self._current, self._keys = self._read()

    @property
    def current(self) -> str:
        """The reference of the key that wraps."""
        return self._current

    @property
    def references(self) -> tuple[str, ...]:
        """The references of all keys held, ascending."""
        return tuple(sorted(self._keys))

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (reference, wrapped bytes) by the current key."""
        return self._current, seal(self._keys[self._current], key, context)

    def unwrap(self, reference: str, wrapped: bytes, context: bytes) -> bytes:
        """Return what was wrapped.

        :raises WrongKey: the file has no such key, or it does not open these bytes in this context
        """
        if reference not in self._keys:
            raise errors.WrongKey(f'the key file {self._path} holds no key {reference}')
        return unseal(self._keys[reference], reference, wrapped, context)

    def rotate(self) -> str:
        """Add a new key, make it the current one, and return its reference.

        What older keys wrapped still opens.
        """
        with self._locked():
            self._current, self._keys = self._read()
            self._current, key = _new_key()
            self._keys[self._current] = key
            self._write()
        return self._current

    def forget(self, reference: str) -> None:
        """Remove a key for good: repositories still wrapped by it never open again.

        :raises Invalid: it is the current key
        """
        with self._locked():
            self._current, self._keys = self._read()
            if reference == self._current:
                raise exception.Invalid(f'{reference} is the current key; rotate first')
            self._keys.pop(reference, None)
            self._write()

    def _make(self) -> None:
        directory = os.path.dirname(self._path)
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._current, key = _new_key()
            self._keys = {self._current: key}
            temporary = self._write_temporary()
            try:
                # link, not rename: of two processes that start at once one makes the key and both
                # use it.
                os.link(temporary, self._path)
            except FileExistsError:
                pass
            finally:
                os.unlink(temporary)
            _sync_directory(directory)
        except OSError as error:
            raise exception.DriverFailed(
                reason=f'cannot make the key file {self._path}: {error.strerror}') from error

    def _read(self) -> tuple[str, dict[str, bytes]]:
        try:
            with open(self._path, 'rb') as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read()
        except OSError as error:
            raise exception.DriverFailed(
                reason=f'cannot read the key file {self._path}: {error.strerror}') from error
        if stat.S_IMODE(mode) & 0o077:
            raise exception.DriverFailed(
                reason=f'the key file {self._path} is open to others than its owner; '
                       'chmod it to 0600')
        try:
            return _parse(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise exception.DriverFailed(
                reason=f'the key file {self._path} is not a keyring') from error

    def _write(self) -> None:
        temporary = self._write_temporary()
        os.rename(temporary, self._path)
        _sync_directory(os.path.dirname(self._path))

    def _write_temporary(self) -> str:
        keys = {reference: base64.b64encode(key).decode() for reference, key in self._keys.items()}
        content = json.dumps({'current': self._current, 'keys': keys}, indent=2).encode() + b'\n'
        path = f'{self._path}.{os.urandom(8).hex()}'
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return path

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from changing the file.

        The lock is on its directory, since the file itself is replaced.
        """
        directory = os.path.dirname(self._path)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class ManagedKey:
    """A symmetric key held by a key manager; older keys are fetched by the reference that wrapped.

    :param manager: a castellan key manager
    :param context: what castellan authenticates with
    :param key_id: the key that wraps, or None where nothing new is wrapped
    """

    def __init__(self, manager: Any, context: Any, key_id: str | None):
        self._manager = manager
        self._context = context
        self._key_id = key_id

    @property
    def current(self) -> str | None:
        """The reference of the key that wraps, None where nothing new is wrapped."""
        return MANAGED_PREFIX + self._key_id if self._key_id else None

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (reference, wrapped bytes) by the configured key.

        :raises DriverFailed: no key is configured, or the key manager does not give it
        """
        if not self._key_id:
            raise exception.DriverFailed(reason='[keys] key_id is not set')
        return MANAGED_PREFIX + self._key_id, seal(self._fetch(self._key_id), key, context)

    def unwrap(self, reference: str, wrapped: bytes, context: bytes) -> bytes:
        """Return what was wrapped.

        :raises WrongKey: the key manager has no such key, or it does not open these bytes in this
            context
        :raises DriverFailed: the key manager does not answer, or refuses
        """
        key = self._fetch(reference.removeprefix(MANAGED_PREFIX))
        return unseal(key, reference, wrapped, context)

    def rotate(self) -> str:
        """Have the key manager make a new key, wrap by it from now on, and return its reference.

        Only this object does: other processes wrap by the key that their configuration names.

        :raises DriverFailed: the key manager does not make one
        """
        with _asking('make a key'):
            key_id = self._manager.create_key(
                self._context, algorithm='AES', length=KEY_SIZE * 8, name='backupsvc')
        self._fetch(key_id)
        self._key_id = key_id
        return MANAGED_PREFIX + key_id

    def forget(self, reference: str) -> None:
        """Remove a key for good: repositories still wrapped by it never open again.

        :raises Invalid: it is the current key
        :raises DriverFailed: the key manager does not do it
        """
        if reference == self.current:
            raise exception.Invalid(f'{reference} is the current key; rotate first')
        key_id = reference.removeprefix(MANAGED_PREFIX)
        with _asking(f'remove key {key_id}'):
            self._manager.delete(self._context, key_id)

    def _fetch(self, key_id: str) -> bytes:
        from castellan.common import exception as castellan_exception
        with _asking(f'give key {key_id}'):
            try:
                key = self._manager.get(self._context, key_id).get_encoded()
            except castellan_exception.ManagedObjectNotFoundError as error:
                raise errors.WrongKey(f'the key manager holds no key {key_id}') from error
        if not isinstance(key, bytes) or len(key) != KEY_SIZE:
            raise exception.DriverFailed(reason=f'key {key_id} is not a symmetric key of 256 bits')
        return key


@contextlib.contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn errors of a key manager into ours: each back end lets its own client's through."""
    try:
        yield
    except errors.WrongKey:
        raise
    except Exception as error:
        raise exception.DriverFailed(
            reason=f'the key manager does not {what}: {type(error).__name__}') from error


class Keyring:
    """Wraps by one provider and unwraps by whichever wrapped, so that the provider can be changed.

    :param current: the provider that wraps
    :param by_prefix: every configured provider, by the prefix of its references
    """

    def __init__(self, current: FileKeyring | ManagedKey,
                 by_prefix: dict[str, FileKeyring | ManagedKey]):
        self._current = current
        self._by_prefix = by_prefix

    @property
    def current(self) -> str | None:
        """The reference of the key that wraps, None where the configuration names none."""
        return self._current.current

    def rotate(self) -> str:
        """Make a new key, wrap by it from now on, and return its reference.

        :raises DriverFailed: the provider does not make one
        """
        return self._current.rotate()

    def remove(self, reference: str) -> None:
        """Remove a key for good.

        :raises Invalid: it is the current key, or no configured provider has such keys
        :raises DriverFailed: the provider does not do it
        """
        for prefix, provider in self._by_prefix.items():
            if reference.startswith(prefix):
                provider.forget(reference)
                return
        raise exception.Invalid(f'no configured key provider holds key {reference}')

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (reference, wrapped bytes) by the current key."""
        return self._current.wrap(key, context)

    def unwrap(self, reference: str, wrapped: bytes, context: bytes) -> bytes:
        """Return what was wrapped.

        :raises WrongKey: no configured provider has that key, or it does not open these bytes in
            this context
        """
        for prefix, provider in self._by_prefix.items():
            if reference.startswith(prefix):
                return provider.unwrap(reference, wrapped, context)
        raise errors.WrongKey(f'no configured key provider holds key {reference}')


def get_wrapper(context: 'RequestContext') -> Keyring:
    """Return the configured keyring.

    The key belongs to the service, so the key manager is asked with the service's own session, not
    the caller's token.

    :param context: the caller's context
    :raises DriverFailed: the key file or the key manager does not work; the text says what to mend
    """
    # Deferred: see the module's docstring.
    from backupsvc import conf as configuration
    conf = configuration.current()
    # By item: as an attribute, keys is a method of the config object.
    options = conf['keys']
    is_file = options.provider == 'file'
    providers: dict[str, FileKeyring | ManagedKey] = {}
    if is_file or os.path.exists(options.file):
        providers[FILE_PREFIX] = FileKeyring(options.file, create=is_file)
    if not is_file or options.key_id:
        providers[MANAGED_PREFIX] = _managed_key(conf)
    current = FILE_PREFIX if is_file else MANAGED_PREFIX
    return Keyring(providers[current], providers)


def _managed_key(conf: Any) -> ManagedKey:
    from castellan import key_manager
    from castellan.common import utils as castellan_utils

    from backupsvc import context as request_context
    manager = key_manager.API(configuration=conf)
    conf.register_opts(castellan_utils.credential_opts, group=castellan_utils.OPT_GROUP)
    if conf.key_manager.auth_type:
        credential = castellan_utils.credential_factory(conf=conf)
    else:
        # Vault has credentials of its own and asks for any context that is true.
        credential = request_context.get_admin_context()
    return ManagedKey(manager, credential, conf['keys'].key_id)


def seal(wrapping_key: bytes, key: bytes, context: bytes) -> bytes:
    """Return ``key`` sealed by ``wrapping_key``, bound to ``context``."""
    nonce = os.urandom(_NONCE_SIZE)
    return nonce + AESGCM(wrapping_key).encrypt(nonce, key, context)


def unseal(wrapping_key: bytes, reference: str, wrapped: bytes, context: bytes) -> bytes:
    """Return what ``seal`` was given.

    :raises WrongKey: another key, another context, or damaged bytes
    """
    try:
        return AESGCM(wrapping_key).decrypt(wrapped[:_NONCE_SIZE], wrapped[_NONCE_SIZE:], context)
    except (InvalidTag, ValueError) as error:
        raise errors.WrongKey(f'key {reference} does not open the master key') from error


def _new_key() -> tuple[str, bytes]:
    return FILE_PREFIX + os.urandom(8).hex(), os.urandom(KEY_SIZE)


def _parse(content: bytes) -> tuple[str, dict[str, bytes]]:
    document = json.loads(content)
    keys = {}
    for reference, encoded in document['keys'].items():
        try:
            keys[reference] = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ValueError('not base64') from error
        if len(keys[reference]) != KEY_SIZE:
            raise ValueError('not a key of 256 bits')
    if document['current'] not in keys:
        raise ValueError('the current key is missing')
    return document['current'], keys


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
