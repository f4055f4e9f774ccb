# SPDX-License-Identifier: Apache-2.0
"""Snapshots as Cinder v3 shows them."""

from backupsvc.api.cinder_v3 import versions, views


def summary(req, snapshot) -> dict:
    """Return what everything but a show and the list of details shows."""
    body = {
        'id': snapshot.id,
        'volume_id': snapshot.volume_id,
        'name': snapshot.name,
        'description': snapshot.description,
        'status': snapshot.status,
        'size': snapshot.size_gb,
        'created_at': views.date(snapshot.created_at),
        'updated_at': views.date(snapshot.updated_at),
        'metadata': dict(snapshot.metadata),
    }
    if req.version >= versions.GROUP_SNAPSHOTS:
        body['group_snapshot_id'] = None
    if req.version >= versions.SNAPSHOT_USER_ID:
        body['user_id'] = snapshot.user_id
    if req.version >= versions.CONSUMES_QUOTA:
        body['consumes_quota'] = True
    return body


def detail(req, snapshot, shows_extended: bool) -> dict:
    """Return the summary and, to whom may see them, the extended attributes."""
    body = summary(req, snapshot)
    if shows_extended:
        done = snapshot.status not in ('creating', 'error')
        body['os-extended-snapshot-attributes:progress'] = '100%' if done else '0%'
        body['os-extended-snapshot-attributes:project_id'] = snapshot.project_id
    return body
