# SPDX-License-Identifier: Apache-2.0
"""Schemas of backups: requests closed, by microversion; answers as strict as Tempest's."""

import copy

from backupsvc.wsgi import parameter_types


def _object(properties: dict, required: tuple[str, ...] = ()) -> dict:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
    }


def _with(schema: dict, key: str, **properties) -> dict:
    """Return a copy of ``schema`` whose object under ``key`` has further properties."""
    later = copy.deepcopy(schema)
    later['properties'][key]['properties'].update(properties)
    return later


CREATE = _object(
    {
        'backup': _object(
            {
                'volume_id': parameter_types.uuid,
                'name': parameter_types.name,
                'description': parameter_types.description,
                'container': parameter_types.container,
                'incremental': parameter_types.boolean,
                'force': parameter_types.boolean,
                'snapshot_id': parameter_types.uuid_or_null,
            },
            required=('volume_id',),
        )
    },
    required=('backup',),
)
CREATE_3_43 = _with(CREATE, 'backup', metadata=parameter_types.metadata_or_null)
CREATE_3_51 = _with(CREATE_3_43, 'backup', availability_zone=parameter_types.availability_zone)

UPDATE_3_9 = _object(
    {
        'backup': _object(
            {
                'name': parameter_types.name,
                'description': parameter_types.description,
            }
        )
    },
    required=('backup',),
)
UPDATE_3_43 = _with(UPDATE_3_9, 'backup', metadata=parameter_types.metadata)

RESTORE = _object(
    {
        'restore': _object(
            {
                'name': parameter_types.name,
                'volume_id': parameter_types.uuid_or_null,
            }
        )
    },
    required=('restore',),
)

#: Any name may be a filter: which ones count depends on the caller, see ``filters``.
LIST_QUERY = {
    'type': 'object',
    'properties': {
        **parameter_types.paging,
        'all_tenants': parameter_types.query_string,
        'with_count': parameter_types.query_string,
    },
    'additionalProperties': parameter_types.query_string,
}
NO_QUERY: dict = {'type': 'object', 'additionalProperties': parameter_types.query_string}

_SUMMARY_FIELDS = {
    'id': parameter_types.uuid,
    'name': {'type': ['string', 'null']},
    'links': parameter_types.links,
}
SUMMARY = _object({'backup': _object(_SUMMARY_FIELDS, tuple(_SUMMARY_FIELDS))}, ('backup',))

_DETAIL_FIELDS = {
    **_SUMMARY_FIELDS,
    'status': {'type': 'string'},
    'size': {'type': ['integer', 'null']},
    'object_count': {'type': 'integer'},
    'availability_zone': {'type': ['string', 'null']},
    'container': {'type': ['string', 'null']},
    'created_at': parameter_types.timestamp_or_null,
    'updated_at': parameter_types.timestamp_or_null,
    'data_timestamp': parameter_types.timestamp_or_null,
    'description': {'type': ['string', 'null']},
    'fail_reason': {'type': ['string', 'null']},
    'volume_id': parameter_types.uuid,
    'is_incremental': {'type': 'boolean'},
    'has_dependent_backups': {'type': 'boolean'},
    'snapshot_id': parameter_types.uuid_or_null,
}
_OWNED_FIELDS = {
    **_DETAIL_FIELDS,
    'os-backup-project-attr:project_id': {'type': 'string'},
}
_METADATA_FIELDS = {**_OWNED_FIELDS, 'metadata': parameter_types.metadata}
_USER_FIELDS = {**_METADATA_FIELDS, 'user_id': {'type': ['string', 'null']}}
_KEY_FIELDS = {**_USER_FIELDS, 'encryption_key_id': parameter_types.uuid}

_DETAILS = {
    '3_0': _object(_DETAIL_FIELDS, tuple(_DETAIL_FIELDS)),
    '3_18': _object(_OWNED_FIELDS, tuple(_DETAIL_FIELDS)),
    '3_43': _object(_METADATA_FIELDS, (*_DETAIL_FIELDS, 'metadata')),
    '3_56': _object(_USER_FIELDS, (*_DETAIL_FIELDS, 'metadata')),
    '3_64': _object(_KEY_FIELDS, (*_DETAIL_FIELDS, 'metadata')),
}


def _show(version: str) -> dict:
    return _object({'backup': _DETAILS[version]}, ('backup',))


def _list(item: dict) -> dict:
    return _object(
        {
            'backups': {'type': 'array', 'items': item},
            'backups_links': parameter_types.links,
        },
        ('backups',),
    )


def _counted(schema: dict) -> dict:
    later = copy.deepcopy(schema)
    later['properties']['count'] = {'type': 'integer', 'minimum': 0}
    return later


SHOW = _show('3_0')
SHOW_3_18 = _show('3_18')
SHOW_3_43 = _show('3_43')
SHOW_3_56 = _show('3_56')
SHOW_3_64 = _show('3_64')

LIST = _list(_object(_SUMMARY_FIELDS, tuple(_SUMMARY_FIELDS)))
LIST_3_45 = _counted(LIST)

DETAIL = _list(_DETAILS['3_0'])
DETAIL_3_18 = _list(_DETAILS['3_18'])
DETAIL_3_43 = _list(_DETAILS['3_43'])
DETAIL_3_45 = _counted(DETAIL_3_43)
DETAIL_3_56 = _counted(_list(_DETAILS['3_56']))
DETAIL_3_64 = _counted(_list(_DETAILS['3_64']))

RESTORED = _object(
    {
        'restore': _object(
            {
                'backup_id': parameter_types.uuid,
                'volume_id': parameter_types.uuid,
                'volume_name': {'type': ['string', 'null']},
            },
            ('backup_id', 'volume_id', 'volume_name'),
        )
    },
    ('restore',),
)
