# SPDX-License-Identifier: Apache-2.0
"""Transfers as Cinder v3 shows them."""

from backupsvc.api.cinder_v3 import versions, views

#: Where transfers are, and where they are too from 3.55 on.
COLLECTION = 'os-volume-transfer'


def summary(req, transfer) -> dict:
    """Return what the short list and an acceptance show."""
    return {
        'id': transfer.id,
        'name': transfer.name,
        'volume_id': transfer.volume_id,
        'links': views.links(req, COLLECTION, transfer.id),
    }


def detail(req, transfer) -> dict:
    """Return all that the request's microversion knows of an offer."""
    body = {**summary(req, transfer), 'created_at': views.date(transfer.created_at)}
    if req.version >= versions.TRANSFER_SNAPSHOTS:
        body['no_snapshots'] = transfer.no_snapshots
    if req.version >= versions.TRANSFER_PROJECTS:
        body.update(source_project_id=transfer.source_project_id, destination_project_id=None,
                    accepted=False)
    return body
