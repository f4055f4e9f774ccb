# SPDX-License-Identifier: Apache-2.0
"""Backups as the dialect shows them: what is absent is left out, never null."""

import datetime
from typing import Any


def created(backup_id: int, is_made_here: bool) -> dict:
    """Return what a create answers.

    :param is_made_here: the caller does not know the id yet
    """
    message = (
        f'A backup with id {backup_id} has been scheduled. '
        f'Use GET actuator/backups/{backup_id} to monitor the status.'
    )
    return {'message': message, **({'backupId': backup_id} if is_made_here else {})}


def summary(checkpoint) -> dict:
    """Return a backup as the list has it, with the fields of its partitions that tell how it is.
    """
    return _backup(checkpoint, _summary)


def detail(checkpoint) -> dict:
    """Return all that the dialect knows of a backup."""
    return _backup(checkpoint, _detail)


def _backup(checkpoint, view) -> dict:
    return _present(
        backupId=checkpoint.id,
        state=checkpoint.state,
        failureReason=checkpoint.failure_reason,
        details=[view(partition) for partition in checkpoint.partitions],
    )


def _summary(partition) -> dict:
    return _present(
        partitionId=partition.id,
        state=partition.state,
        failureReason=partition.failure_reason if partition.state == 'FAILED' else None,
        createdAt=_time(partition.created_at),
        brokerVersion=partition.broker_version,
    )


def _detail(partition) -> dict:
    return {
        **_summary(partition),
        **_present(
            failureReason=partition.failure_reason,
            lastUpdatedAt=_time(partition.updated_at),
            snapshotId=partition.snapshot_id,
            checkpointPosition=partition.position,
            brokerId=partition.broker_id,
        ),
    }


def state(found) -> dict:
    """Return what each partition has come to."""
    return {
        'checkpointStates': [_reached(each) for each in found.checkpoints],
        'backupStates': [_reached(each) for each in found.backups],
        'ranges': [
            {'partitionId': each.partition_id, 'start': each.start, 'end': each.end}
            for each in found.ranges
        ],
    }


def _reached(each) -> dict:
    return {
        'partitionId': each.partition_id,
        'checkpointId': each.checkpoint_id,
        'checkpointType': 'SCHEDULED_BACKUP' if each.is_scheduled else 'MANUAL_BACKUP',
        'checkpointPosition': each.position,
        'checkpointTimestamp': _time(each.at),
    }


def _present(**fields: Any) -> dict:
    return {name: value for name, value in fields.items() if value is not None}


def _time(value: datetime.datetime | None) -> str | None:
    """Return a time in UTC, to the microsecond, with its zone."""
    if value is None:
        return None
    return value.astimezone(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%S.%fZ')
