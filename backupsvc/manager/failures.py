# SPDX-License-Identifier: Apache-2.0
"""What an error means for a task: a text for the user, and whether another attempt may help.

Used by the manager and by the mover, which hands its failure over as JSON.
"""

import dataclasses

from backupsvc import exception
from backupsvc.engine import errors

#: What a backup's ``fail_reason`` holds.
REASON_LENGTH = 255

#: Errors that may be gone at the next attempt.
_TRANSIENT = (errors.StoreTransient, errors.RepositoryLocked, exception.Unavailable)

#: Errors whose text is written for users.
_EXPLAINED = (errors.EngineError, exception.BackupsvcError)


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    :param kind: name of the error's class, for logs
    :param message: fit for the user's eyes
    :param is_transient: another attempt may succeed
    """

    kind: str
    message: str
    is_transient: bool

    @property
    def reason(self) -> str:
        """The message, cut to what a record holds."""
        if len(self.message) <= REASON_LENGTH:
            return self.message
        return self.message[:REASON_LENGTH - 1] + '…'


class MoverFailed(Exception):
    """A mover reported a failure."""

    def __init__(self, failure: Failure):
        super().__init__(f'{failure.kind}: {failure.message}')
        self.failure = failure


class MoverDied(Exception):
    """A mover ended without saying how."""

    def __init__(self, how: str):
        super().__init__(f'The process that moved the data ended unexpectedly ({how}).')


class Fenced(Exception):
    """A mover noticed that its lease had run out; it has changed nothing since."""


class TooManyAttempts(Exception):
    """A task has been started as often as it may be."""

    def __init__(self, attempts: int):
        super().__init__(f'Given up after {attempts} attempts that did not come to an end.')


class MemberFailed(Exception):
    """A set will not be complete, since one of its members will not; says which and why."""


class Cancelled(Exception):
    """The cancel flag of the task is set; the work has stopped."""


class HandedOver(Exception):
    """The manager is asked to stop; the work has stopped and is for another manager."""


class Postponed(Exception):
    """The task cannot begin yet.

    :param delay_s: seconds until it is worth another look
    """

    def __init__(self, reason: str, delay_s: float):
        super().__init__(reason)
        self.delay_s = delay_s


def is_explained(error: BaseException) -> bool:
    """Tell whether the error's own text is all that there is to say, to users and in the log."""
    return isinstance(error, _EXPLAINED)


def describe(error: BaseException) -> Failure:
    """Return what an error means for the task it ended."""
    kind = type(error).__name__
    if isinstance(error, MoverFailed):
        return error.failure
    if isinstance(error, (MoverDied, TooManyAttempts, MemberFailed)):
        return Failure(kind, str(error), isinstance(error, MoverDied))
    if is_explained(error):
        return Failure(kind, str(error), isinstance(error, _TRANSIENT))
    return Failure(kind, f'An unexpected error occurred ({kind}).', False)
