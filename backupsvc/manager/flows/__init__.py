# SPDX-License-Identifier: Apache-2.0
"""Flows: how a task of each kind is carried out.

Each module has three functions that take a ``work.Work``:

* ``run``: the steps, in order, then the end of the task together with the new state of its record;
* ``fail(work, failure)``: undo every step and end the task as failed;
* ``cancel``: undo every step and end the task as cancelled.

A step is idempotent, because an attempt may end at any instant and the next one begins from the
top, or after the point that ``work.remember`` kept. An undo works whichever steps were done,
because another process may have done them in an earlier attempt; so it is a function of the task's
row and not a stack, which would be lost with its process.
"""

from types import ModuleType

from backupsvc import states
from backupsvc.manager.flows import (
    create,
    create_set,
    delete,
    delete_set,
    delete_snapshot,
    import_record,
    prune,
    restore,
    rollback,
    snapshot,
    verify,
)

FLOWS: dict[str, ModuleType] = {
    states.TASK_CREATE: create,
    states.TASK_RESTORE: restore,
    states.TASK_DELETE: delete,
    states.TASK_IMPORT: import_record,
    states.TASK_VERIFY: verify,
    states.TASK_PRUNE: prune,
    states.TASK_CREATE_SET: create_set,
    states.TASK_DELETE_SET: delete_set,
    states.TASK_SNAPSHOT: snapshot,
    states.TASK_DELETE_SNAPSHOT: delete_snapshot,
    states.TASK_ROLLBACK: rollback,
}

#: Kinds that take seconds and no mover.
SHORT: tuple[str, ...] = (
    states.TASK_DELETE, states.TASK_IMPORT, states.TASK_CREATE_SET, states.TASK_DELETE_SET,
    states.TASK_SNAPSHOT, states.TASK_DELETE_SNAPSHOT)
