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
