# SPDX-License-Identifier: Apache-2.0
"""Schemas of transfers."""

from backupsvc.api.cinder_v3 import shapes, versions
from backupsvc.wsgi import parameter_types
from backupsvc.wsgi.dialect import Version

CREATE = shapes.under('transfer', shapes.closed(
    {'volume_id': parameter_types.uuid, 'name': parameter_types.name}, required=('volume_id',)))
CREATE_3_55 = shapes.with_fields(CREATE, 'transfer', no_snapshots=parameter_types.boolean)
ACCEPT = shapes.under('accept', shapes.closed(
    {'auth_key': {'type': ['string', 'integer'], 'maxLength': 255}}))

_SUMMARY = {
    'id': parameter_types.uuid,
    'name': shapes.string_or_null,
    'volume_id': parameter_types.uuid,
    'links': parameter_types.links,
}

CHANGES = [versions.TRANSFER_SNAPSHOTS, versions.TRANSFER_PROJECTS]


def _detail(version: Version) -> dict:
    fields: dict = {**_SUMMARY, 'created_at': parameter_types.timestamp_or_null}
    if version >= versions.TRANSFER_SNAPSHOTS:
        fields['no_snapshots'] = {'type': 'boolean'}
    if version >= versions.TRANSFER_PROJECTS:
        fields.update(
            source_project_id={'type': 'string'}, destination_project_id={'type': 'null'},
            accepted={'type': 'boolean'})
    return fields


def created(version: Version) -> dict:
    """Return the answer to a create: the only one with the key."""
    return shapes.under('transfer', shapes.closed(
        {**_detail(version), 'auth_key': {'type': 'string'}}))


def shown(version: Version) -> dict:
    """Return the answer to a show."""
    return shapes.under('transfer', shapes.closed(_detail(version)))


def detailed(version: Version) -> dict:
    """Return a list of details."""
    return shapes.collection('transfers', shapes.closed(_detail(version)), counted=False)


LIST = shapes.collection('transfers', shapes.closed(_SUMMARY), counted=False)
ACCEPTED = shapes.under('transfer', shapes.closed(_SUMMARY))
