# SPDX-License-Identifier: Apache-2.0
"""Records as the use cases make them, with as few words as a test needs."""

import datetime
import uuid
from typing import Any

from backupsvc import states
from backupsvc.objects.backup import Backup
from backupsvc.objects.task import Task

LEASE_S = 60


def new_task(context: Any, kind: str = states.TASK_CREATE, **values: Any) -> Task:
    return Task(context, **{'id': str(uuid.uuid4()), 'kind': kind,
                            'project_id': context.project_id, **values})


def new_backup(context: Any, **values: Any) -> Backup:
    return Backup(context, **{
        'project_id': context.project_id, 'user_id': context.user_id, 'kind': 'volume',
        'source_id': str(uuid.uuid4()), 'status': states.CREATING, 'size_gb': 1, **values})


def create_backup(context: Any, **values: Any) -> Backup:
    """Write a backup without a task; it is available unless ``values`` say otherwise."""
    backup = new_backup(context, **{'status': states.AVAILABLE, **values})
    backup.create(None)
    return backup


def begin(context: Any, admin: Any, kind: str = states.TASK_CREATE) -> tuple[Backup, Task]:
    """Write a backup whose task of ``kind`` runs, claimed by owner ``one``."""
    if kind == states.TASK_CREATE:
        backup = new_backup(context)
        backup.create(new_task(context))
    else:
        backup = create_backup(context)
        status = {states.TASK_DELETE: states.DELETING, states.TASK_RESTORE: states.RESTORING}[kind]
        backup.begin(new_task(context, kind), [states.AVAILABLE], status)
    task = Task.claim_next(admin, 'one', 'testhost', LEASE_S)
    assert task is not None and task.resource_id == backup.id
    return backup, task


def ago(seconds: float) -> datetime.datetime:
    """Return the time ``seconds`` before now; negative: after."""
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
