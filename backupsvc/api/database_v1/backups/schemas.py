# SPDX-License-Identifier: Apache-2.0
"""Schemas of backups."""

from backupsvc.api.database_v1 import shapes
from backupsvc.wsgi import parameter_types

_REFERENCE = {'type': ['string', 'null'], 'minLength': 1, 'maxLength': 1024}

CREATE = shapes.under('backup', shapes.open_({
    'name': shapes.name,
    'instance': _REFERENCE,
    'description': {'type': ['string', 'null'], 'maxLength': 255},
    'parent_id': _REFERENCE,
    'incremental': {
        'type': ['boolean', 'string', 'integer'],
        'enum': [*parameter_types.boolean['enum'], 0, 1]},
    'swift_container': {'type': ['string', 'null'], 'minLength': 1, 'maxLength': 255},
}, ('name',)))

_SPECIFIED = {
    'id': shapes.string,
    'name': shapes.string,
    'description': shapes.string_or_null,
    'instance_id': shapes.string,
    'locationRef': shapes.string_or_null,
    'status': shapes.string,
    'created': shapes.time,
    'updated': shapes.time,
}
_BACKUP = shapes.closed({
    **_SPECIFIED,
    'size': {'type': ['number', 'null']},
    'parent_id': shapes.string_or_null,
    'project_id': shapes.string,
    'datastore': shapes.closed({
        'type': shapes.string, 'version': shapes.string, 'version_id': shapes.string}),
})

SHOW = shapes.under('backup', _BACKUP)
LIST = shapes.page('backups', _BACKUP)
SPECIFIED_SHOW = shapes.under('backup', shapes.closed(_SPECIFIED))
SPECIFIED_LIST = shapes.specified_page('backups', shapes.closed(_SPECIFIED))
