# SPDX-License-Identifier: Apache-2.0
"""Where the data of a server lie: on a volume with a file system of its own, or in a directory.

A place has ``data`` (the server's data directory), ``tmp``, ``files`` (the only directory that
statements may read files from and write them to) and ``error.log``.
"""

import errno
import fcntl
import os
import pathlib
import shutil
import stat
import time

from backupsvc import exception
from backupsvc.drivers.database.mariadb import processes

GIB = 1024 ** 3

_RESERVE_MIN = 16 * 1024 ** 2
_RESERVE_MAX = 64 * 1024 ** 2

_CAP_SYS_ADMIN = 21
_CAP_SYS_RESOURCE = 24
#: Of linux/fs.h.
_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878

_UNMOUNT_TIMEOUT_S = 30
_POLL_S = 0.1


def can_mount() -> bool:
    """Return whether this process may give a raw file a device and mount it."""
    return (processes.is_root() and os.path.exists('/dev/loop-control')
            and _has_capability(_CAP_SYS_ADMIN))


def make_open(path: pathlib.Path) -> None:
    """Make a directory, and those above it, that others can go through, whatever the umask is."""
    if not path.exists():
        make_open(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o711)


class Place:
    """Where the data of one server lie.

    :param path: the directory; a mount point where there is a volume
    :param volume_path: raw file or block device; None is a plain directory
    :param uid: whose the data are; None is ourselves
    """

    def __init__(self, path: pathlib.Path, volume_path: str | None, uid: int | None):
        self.path = path
        self.volume_path = volume_path
        self._uid = uid

    @property
    def data(self) -> pathlib.Path:
        return self.path / 'data'

    @property
    def error_log(self) -> pathlib.Path:
        return self.path / 'error.log'

    def make(self) -> None:
        """Begin anew: nothing that was there remains.

        :raises DriverFailed: the volume cannot be formatted or mounted
        """
        if self.volume_path is not None:
            self.close()
            processes.run(
                [processes.find('mkfs.ext4'), '-q', '-F', '-m', '0', '-E',
                 'lazy_itable_init=1,lazy_journal_init=1,nodiscard', self.volume_path],
                what='The volume could not be formatted')
        elif self.path.exists():
            shutil.rmtree(self.path)
        self.open()
        self.clear()

    def open(self) -> None:
        """Make the place reachable; it may be already.

        :raises DriverFailed: the volume cannot be mounted, or the user of the server cannot come
            to the directory
        """
        make_open(self.path)
        if self.volume_path is None:
            self._check_reachable()
        elif self._device() is None:
            options = 'noatime,nodev,nosuid,noexec'
            if not stat.S_ISBLK(os.stat(self.volume_path).st_mode):
                options += ',loop'
            processes.run(
                [processes.find('mount'), '-t', 'ext4', '-o', options, self.volume_path,
                 str(self.path)],
                what='The volume could not be mounted')
        # What the server may write is below the directory itself, which is ours: nothing of it can
        # lead us elsewhere.
        self.path.chmod(0o711)
        for path in (self.data, self.path / 'tmp', self.path / 'files'):
            path.mkdir(mode=0o700, exist_ok=True)
            if self._uid is not None:
                os.chown(path, self._uid, self._uid)

    def clear(self) -> None:
        """Remove all data, and what loads have left beside them."""
        for entry in os.scandir(self.path):
            if entry.name == 'lost+found':
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        self.open()

    def close(self) -> None:
        """Let go of the volume; nothing of a plain directory is changed.

        :raises DriverFailed: something still uses it
        """
        if self.volume_path is None:
            return
        self.thaw()
        give_up_at = time.monotonic() + _UNMOUNT_TIMEOUT_S
        while self._device() is not None:
            try:
                processes.run([processes.find('umount'), str(self.path)],
                              what='The volume could not be unmounted')
            except exception.DriverFailed:
                # somebody may be looking at it just now
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(_POLL_S)

    def freeze(self) -> None:
        """Write everything to the volume and nothing more until ``thaw``, which another process
        may do; frozen already: nothing happens.

        :raises DriverFailed: there is no volume, or it is not mounted, or this process may not
        """
        if not self._control(_FIFREEZE, errno.EBUSY):
            raise exception.DriverFailed(
                reason=f'The file system of {self.path.name} is not mounted.')

    def thaw(self) -> None:
        """End what ``freeze`` began; not frozen, or not mounted: nothing happens.

        :raises DriverFailed: this process may not
        """
        self._control(_FITHAW, errno.EINVAL)

    def _control(self, request: int, accepted: int) -> bool:
        """Ask the file system of the volume for something; False: it is not mounted."""
        if self.volume_path is None or self._device() is None:
            return False
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # What is asked here of a directory that is no mount point, the host's own file system
            # would do.
            if os.fstat(descriptor).st_dev == os.stat(self.path.parent).st_dev:
                return False
            fcntl.ioctl(descriptor, request, 0)
        except OSError as error:
            if error.errno != accepted:
                raise exception.DriverFailed(
                    reason=f'The file system at {self.path} cannot be frozen or thawed: '
                           f'{error.strerror}.') from error
        finally:
            os.close(descriptor)
        return True

    def reserve(self) -> None:
        """Keep some room of a volume from the server: one that ends on a full volume needs it to
        start again (its temporary table space, and what recovery writes). Without room for it
        there is none.
        """
        if self.volume_path is None or self._reserve.exists():
            return
        size = min(_RESERVE_MAX, max(_RESERVE_MIN, (self.usage()[1] or 0) // 32))
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self._reserve.unlink()
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the room to the server; before it starts."""
        self._reserve.unlink(missing_ok=True)

    @property
    def _reserve(self) -> pathlib.Path:
        return self.path / 'reserve'

    def grow(self) -> bool:
        """Let the file system fill its volume while it is in use; return whether it does, which
        needs a privilege that this process may lack.

        :raises DriverFailed: the volume cannot be used
        """
        device = self._device()
        if self.volume_path is None or device is None:
            return True
        if device.startswith('/dev/loop'):
            processes.run([processes.find('losetup'), '--set-capacity', device],
                          what='The volume could not be enlarged')
        if not _has_capability(_CAP_SYS_RESOURCE):
            return False
        processes.run([processes.find('resize2fs'), device],
                      what='The file system could not be enlarged')
        return True

    def grow_unused(self) -> None:
        """Let the file system fill its volume, which nothing uses; it is not mounted afterwards.

        :raises DriverFailed: it cannot
        """
        assert self.volume_path is not None
        self.close()
        for words in (('e2fsck', '-f', '-p'), ('resize2fs',)):
            processes.run([processes.find(words[0]), *words[1:], self.volume_path],
                          what='The file system could not be enlarged',
                          accepted=(0, 1))

    def usage(self) -> tuple[int, int | None]:
        """Return (bytes used, bytes there are); None where nothing of ours limits them."""
        if self.volume_path is None:
            return _used_bytes(self.path), None
        if self._device() is None:
            return 0, None
        status = os.statvfs(self.path)
        return ((status.f_blocks - status.f_bfree) * status.f_frsize,
                status.f_blocks * status.f_frsize)

    def size_bytes(self) -> int | None:
        """Return how much room there is in all, None where nothing of ours limits it."""
        return None if self.volume_path is None else self.usage()[1]

    def data_bytes(self) -> int:
        """Return the room that the data take."""
        return _used_bytes(self.data)

    def _device(self) -> str | None:
        """Return the device that is mounted here."""
        path = os.path.realpath(self.path)
        found = None
        with open('/proc/self/mountinfo', encoding='utf-8', errors='surrogateescape') as stream:
            for line in stream:
                before, _, after = line.partition(' - ')
                if _unescape(before.split(' ')[4]) == path:
                    found = _unescape(after.split(' ')[1])  # the last one covers those before
        return found

    def _check_reachable(self) -> None:
        if self._uid is None:
            return
        for path in self.path.resolve().parents:
            if not path.stat().st_mode & stat.S_IXOTH:
                raise exception.DriverFailed(
                    reason=f'The servers run as users of their own, which cannot enter {path}: '
                           'make it mode 0711, or choose another [database_mariadb] directory.')


def _has_capability(number: int) -> bool:
    with open('/proc/self/status', encoding='ascii') as stream:
        effective = next(line for line in stream if line.startswith('CapEff:'))
    return bool(int(effective.split()[1], 16) >> number & 1)


def _used_bytes(path: pathlib.Path) -> int:
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # a temporary file that is gone
    return total


def _unescape(text: str) -> str:
    """Return a field of mountinfo as it is."""
    for code, character in (('\\040', ' '), ('\\011', '\t'), ('\\012', '\n'), ('\\134', '\\')):
        text = text.replace(code, character)
    return text
