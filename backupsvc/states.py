# SPDX-License-Identifier: Apache-2.0
"""States of records, and the only transitions that they may make.

``objects/`` enforces the tables by compare-and-swap.
"""

CREATING = 'creating'
AVAILABLE = 'available'
RESTORING = 'restoring'
DELETING = 'deleting'
DELETED = 'deleted'
ERROR = 'error'
ERROR_DELETING = 'error_deleting'

BACKUP = (CREATING, AVAILABLE, RESTORING, DELETING, DELETED, ERROR, ERROR_DELETING)

#: from → allowed to. DELETING → AVAILABLE never happens: bytes may be gone already.
BACKUP_TRANSITIONS: dict[str, frozenset[str]] = {
    CREATING: frozenset({AVAILABLE, ERROR, DELETING}),
    AVAILABLE: frozenset({RESTORING, DELETING, ERROR}),
    RESTORING: frozenset({AVAILABLE, ERROR, DELETING}),
    ERROR: frozenset({AVAILABLE, DELETING, ERROR}),
    DELETING: frozenset({DELETED, ERROR, ERROR_DELETING}),
    ERROR_DELETING: frozenset({DELETING, AVAILABLE, ERROR}),
    DELETED: frozenset({CREATING}),
}

#: Statuses of sets: instance backups and instance snapshots. A set is available once every member
#: is.
SET = (CREATING, AVAILABLE, DELETING, DELETED, ERROR)

SET_TRANSITIONS: dict[str, frozenset[str]] = {
    CREATING: frozenset({AVAILABLE, ERROR, DELETING}),
    AVAILABLE: frozenset({DELETING, ERROR}),
    ERROR: frozenset({DELETING, ERROR}),
    DELETING: frozenset({DELETED, ERROR}),
    DELETED: frozenset(),
}

BUILDING = 'building'
ACTIVE = 'active'
RESTARTING = 'restarting'
RESIZING = 'resizing'
BACKING_UP = 'backing-up'
SHUTDOWN = 'shutdown'
FAILED_TO_BUILD = 'failed'

#: Of database instances. SHUTDOWN: its server is down, and what keeps servers running goes on
#: trying. ERROR: what was asked for did not come about, and may be asked for again.
DATABASE_INSTANCE_TRANSITIONS: dict[str, frozenset[str]] = {
    BUILDING: frozenset({ACTIVE, FAILED_TO_BUILD}),
    ACTIVE: frozenset({RESTARTING, RESIZING, BACKING_UP, SHUTDOWN, DELETING}),
    RESTARTING: frozenset({ACTIVE, ERROR}),
    RESIZING: frozenset({ACTIVE, ERROR}),
    BACKING_UP: frozenset({ACTIVE}),
    SHUTDOWN: frozenset({ACTIVE, RESTARTING, DELETING}),
    ERROR: frozenset({ACTIVE, RESTARTING, DELETING}),
    FAILED_TO_BUILD: frozenset({DELETING}),
    DELETING: frozenset({DELETED, ERROR}),
    DELETED: frozenset(),
}

#: Of checkpoints and of their partitions, in the words of the management API. INCOMPLETE and
#: DOES_NOT_EXIST are never stored: a checkpoint that lacks a partition is shown so.
CHECKPOINT_IN_PROGRESS = 'IN_PROGRESS'
CHECKPOINT_COMPLETED = 'COMPLETED'
CHECKPOINT_FAILED = 'FAILED'
CHECKPOINT_INCOMPLETE = 'INCOMPLETE'
CHECKPOINT_MISSING = 'DOES_NOT_EXIST'

#: COMPLETED → FAILED: a backup of it was removed by force.
CHECKPOINT_TRANSITIONS: dict[str, frozenset[str]] = {
    CHECKPOINT_IN_PROGRESS: frozenset({CHECKPOINT_COMPLETED, CHECKPOINT_FAILED}),
    CHECKPOINT_COMPLETED: frozenset({CHECKPOINT_FAILED}),
    CHECKPOINT_FAILED: frozenset(),
}

#: How far a checkpoint is: its managers come together, all of them have everything stand still,
#: all take their snapshots, and the data are copied out.
GATHERING = 'gathering'
QUIESCING = 'quiescing'
TAKING = 'taking'
STORING = 'storing'

#: What a manager has done for its share of a checkpoint in the present round.
JOINED = 'joined'
STILL = 'still'
TAKEN = 'taken'

#: Step → (the phase in which it is made, the phase that begins when all have made it).
CHECKPOINT_STEPS: dict[str, tuple[str, str]] = {
    JOINED: (GATHERING, QUIESCING),
    STILL: (QUIESCING, TAKING),
    TAKEN: (TAKING, STORING),
}

QUEUED = 'queued'
RUNNING = 'running'
DONE = 'done'
FAILED = 'failed'
CANCELLED = 'cancelled'

#: A task in one of these states still has work in it.
TASK_LIVE = (QUEUED, RUNNING)

TASK_TRANSITIONS: dict[str, frozenset[str]] = {
    QUEUED: frozenset({RUNNING, CANCELLED, FAILED}),
    RUNNING: frozenset({QUEUED, DONE, FAILED, CANCELLED}),
    DONE: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
}

#: Kinds of task; the flow of a kind is the module of that name in manager/flows.
TASK_CREATE = 'create'
TASK_RESTORE = 'restore'
TASK_DELETE = 'delete'
TASK_IMPORT = 'import'
TASK_VERIFY = 'verify'
TASK_PRUNE = 'prune'
TASK_CREATE_SET = 'create_set'
TASK_DELETE_SET = 'delete_set'
TASK_SNAPSHOT = 'snapshot'
TASK_DELETE_SNAPSHOT = 'delete_snapshot'
TASK_ROLLBACK = 'rollback'
TASK_PROVISION_DATABASE = 'provision_database'
TASK_RESTART_DATABASE = 'restart_database'
TASK_RESIZE_DATABASE = 'resize_database'
TASK_DELETE_DATABASE = 'delete_database'
TASK_BACK_UP_DATABASE = 'back_up_database'
TASK_DELETE_DATABASE_BACKUP = 'delete_database_backup'
TASK_APPLY_RULES = 'apply_rules'
TASK_CHECKPOINT = 'checkpoint'
TASK_DELETE_CHECKPOINT = 'delete_checkpoint'

#: Kinds of which a task that waits for its time lets younger ones of its resource go first.
TASKS_IN_ANY_ORDER = (TASK_VERIFY, TASK_PRUNE)
