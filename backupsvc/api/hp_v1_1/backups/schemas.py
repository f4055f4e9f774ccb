# SPDX-License-Identifier: Apache-2.0
"""Schemas of backups: requests closed, answers with every field of the dialect's document."""

from backupsvc.wsgi import parameter_types


def _object(properties: dict, required: tuple[str, ...] = ()) -> dict:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
    }


#: A number, as an integer or as text, or a uuid; what is none of them is not found.
_VOLUME_ID = {'type': ['string', 'integer']}

CREATE = _object(
    {
        'backup': _object(
            {
                'volume_id': _VOLUME_ID,
                'display_name': parameter_types.name,
                'display_description': parameter_types.description,
                'container': parameter_types.container,
            },
            required=('volume_id',),
        )
    },
    required=('backup',),
)

RESTORE = _object(
    {'restore': _object({'volume_id': {'type': ['string', 'integer', 'null']}})},
    required=('restore',),
)

LIST_QUERY = {
    'type': 'object',
    'properties': {
        'limit': parameter_types.query_string,
        'marker': parameter_types.query_string,
    },
    'additionalProperties': parameter_types.query_string,
}
NO_QUERY: dict = {'type': 'object', 'additionalProperties': parameter_types.query_string}

_ID = {'type': 'string', 'pattern': r'^[1-9][0-9]*\Z'}

_SUMMARY_FIELDS = {
    'id': _ID,
    'status': {
        'type': 'string',
        'enum': ['creating', 'available', 'restoring', 'deleting', 'error'],
    },
}
_CREATED_FIELDS = {
    **_SUMMARY_FIELDS,
    'display_name': {'type': ['string', 'null']},
    'display_description': {'type': ['string', 'null']},
    'volume_id': _ID,
    'container': {'type': ['string', 'null']},
    'created_at': {'type': 'string', 'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z'},
}
_DETAIL_FIELDS = {
    **_CREATED_FIELDS,
    'fail_reason': {'type': ['string', 'null']},
    'size': {'type': 'integer', 'minimum': 0},
    'object_count': {'type': 'integer', 'minimum': 0},
}


def _list(fields: dict) -> dict:
    return _object(
        {
            'backups': {'type': 'array', 'items': _object(fields, tuple(fields))},
            'backups_links': parameter_types.links,
        },
        ('backups',),
    )


LIST = _list(_SUMMARY_FIELDS)
DETAIL = _list(_DETAIL_FIELDS)
SHOW = _object({'backup': _object(_DETAIL_FIELDS, tuple(_DETAIL_FIELDS))}, ('backup',))
CREATED = _object({'backup': _object(_CREATED_FIELDS, tuple(_CREATED_FIELDS))}, ('backup',))
RESTORED = _object(
    {'restore': _object({'backup_id': _ID, 'volume_id': _ID}, ('backup_id', 'volume_id'))},
    ('restore',),
)
