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
    apply_rules,
    back_up_database,
    checkpoint,
    create,
    create_set,
    delete,
    delete_checkpoint,
    delete_database,
    delete_database_backup,
    delete_set,
    delete_snapshot,
    import_record,
    provision_database,
    prune,
    resize_database,
    restart_database,
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
    states.TASK_PROVISION_DATABASE: provision_database,
    states.TASK_RESTART_DATABASE: restart_database,
    states.TASK_RESIZE_DATABASE: resize_database,
    states.TASK_DELETE_DATABASE: delete_database,
    states.TASK_BACK_UP_DATABASE: back_up_database,
    states.TASK_DELETE_DATABASE_BACKUP: delete_database_backup,
    states.TASK_APPLY_RULES: apply_rules,
    states.TASK_CHECKPOINT: checkpoint,
    states.TASK_DELETE_CHECKPOINT: delete_checkpoint,
}

#: Kinds that take seconds and no mover.
SHORT: tuple[str, ...] = (
    states.TASK_DELETE, states.TASK_IMPORT, states.TASK_CREATE_SET, states.TASK_DELETE_SET,
    states.TASK_SNAPSHOT, states.TASK_DELETE_SNAPSHOT, states.TASK_RESTART_DATABASE,
    states.TASK_DELETE_DATABASE_BACKUP, states.TASK_APPLY_RULES, states.TASK_CHECKPOINT,
    states.TASK_DELETE_CHECKPOINT)
