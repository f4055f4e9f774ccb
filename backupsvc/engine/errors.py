# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in a repository, told apart by what the caller should do about it.

A store raises the ``Store…`` family and nothing else; the engine raises the rest. Only
``StoreTransient`` is worth a retry. Every message names the object (store key) or the byte range
it speaks of and never holds a key or plain data.
"""


class EngineError(Exception):
    """Anything the engine or a store reports on purpose."""


class StoreError(EngineError):
    """A store refused or failed for a reason that a retry does not cure."""


class StoreTransient(StoreError):
    """The store failed now and may answer later (503, time-out, reset connection).

    :param retry_after: seconds that the store asked to wait, or None
    """

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


class ObjectNotFound(StoreError):
    """No object stands under this key."""

    def __init__(self, key: str):
        super().__init__(f'object {key} does not exist')
        self.key = key


class ObjectExists(StoreError):
    """A put that must not replace met an object of the same key."""

    def __init__(self, key: str):
        super().__init__(f'object {key} exists already')
        self.key = key


class StoreDenied(StoreError):
    """The store knows us and refuses (401, 403, EACCES)."""


class StoreFull(StoreError):
    """No room is left: a full disk, or a quota of the account or container."""


class RepositoryNotFound(EngineError):
    """The store holds no repository."""


class RepositoryExists(EngineError):
    """The store holds a repository already."""


class UnsupportedFormat(EngineError):
    """The repository was written by a format version that this code does not read."""


class WrongKey(EngineError):
    """The wrapping key does not open this repository's master key."""


class BackupNotFound(EngineError):
    """The repository holds no manifest of this id."""


class BackupExists(EngineError):
    """A manifest of this id stands already, and it is not the one being written."""


class Corrupt(EngineError):
    """Stored bytes are not what was written.

    :param key: the store key of the damaged or missing object
    :param ranges: affected byte ranges of the volume, as (offset, length) pairs; empty when not
        known yet
    """

    def __init__(self, message: str, key: str, ranges: tuple[tuple[int, int], ...] = ()):
        super().__init__(message)
        self.key = key
        self.ranges = ranges


class RepositoryLocked(EngineError):
    """Another process holds a lock that this operation may not share."""


class TargetTooSmall(EngineError):
    """The target has fewer bytes than the backup."""


class SourceFailed(EngineError):
    """Reading the source, or writing the target, failed; the message has the offset and the
    reason.
    """


class Cancelled(EngineError):
    """The caller's cancel check said to stop. What was stored so far is kept for a later attempt.
    """
