# SPDX-License-Identifier: Apache-2.0
"""Schemas of backup records."""

from backupsvc.wsgi import parameter_types


def _only(name: str, fields: dict) -> dict:
    return {
        'type': 'object',
        'properties': {
            name: {
                'type': 'object',
                'properties': fields,
                'required': list(fields),
                'additionalProperties': False,
            }
        },
        'required': [name],
        'additionalProperties': False,
    }


IMPORT = _only('backup-record', {
    'backup_service': {'type': 'string', 'minLength': 1, 'maxLength': 255},
    'backup_url': {'type': 'string', 'minLength': 1, 'format': 'base64'},
})
EXPORTED = _only('backup-record', {
    'backup_service': {'type': 'string'},
    'backup_url': {'type': 'string', 'format': 'base64'},
})
IMPORTED = _only('backup', {
    'id': parameter_types.uuid,
    'name': {'type': ['string', 'null']},
    'links': parameter_types.links,
})
NO_QUERY = {'type': 'object', 'additionalProperties': parameter_types.query_string}
