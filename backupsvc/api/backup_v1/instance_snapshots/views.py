# SPDX-License-Identifier: Apache-2.0
"""Instance snapshots as this dialect shows them."""

from backupsvc.api.backup_v1 import views


def detail(snapshot, *, shows_owner: bool) -> dict:
    """Return all there is to know of an instance snapshot, with the snapshots of its volumes.

    :param snapshot: an ``orchestration.instance_snapshots.InstanceSnapshot``
    :param shows_owner: whether the caller may see the project and the user
    """
    body = {
        **views.set_fields(snapshot.record),
        'volume_snapshots': [
            {
                'id': member.snapshot_id,
                'volume_id': member.volume_id,
                'device': member.device,
                'size': member.size_gb,
            }
            for member in snapshot.members
        ],
    }
    if shows_owner:
        body.update(views.owner(snapshot.record))
    return body
