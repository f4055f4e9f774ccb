# SPDX-License-Identifier: Apache-2.0
"""Schemas of volumes: requests closed, by microversion; answers as strict as Tempest's."""

from backupsvc.api.cinder_v3 import shapes, versions
from backupsvc.wsgi import parameter_types
from backupsvc.wsgi.dialect import Version

_SIZE = {'type': ['integer', 'string', 'null'], 'pattern': r'^[0-9]+\Z', 'minimum': 1,
         'maximum': parameter_types.MAX_INT}

CREATE = shapes.closed(
    {
        # Open, as in Cinder: Tempest's plugin sends a key that is none and expects a volume.
        'volume': shapes.open_(
            {
                'size': _SIZE,
                'name': parameter_types.name,
                'display_name': parameter_types.name,
                'description': parameter_types.description,
                'display_description': parameter_types.description,
                'volume_type': parameter_types.name,
                'availability_zone': parameter_types.availability_zone,
                'metadata': parameter_types.metadata_or_null,
                'snapshot_id': parameter_types.uuid_or_null,
                'source_volid': parameter_types.uuid_or_null,
                'consistencygroup_id': parameter_types.uuid_or_null,
                'imageRef': {'type': ['string', 'null'], 'maxLength': 255},
                'image_id': {'type': ['string', 'null'], 'maxLength': 255},
                'multiattach': parameter_types.boolean,
            },
        ),
        # Hints are for a scheduler; there is one place only.
        'OS-SCH-HNT:scheduler_hints': {'type': ['object', 'null']},
    },
    required=('volume',),
)
CREATE_3_13 = shapes.with_fields(CREATE, 'volume', group_id=parameter_types.uuid_or_null)
CREATE_3_46 = shapes.with_fields(
    CREATE_3_13, 'volume', backup_id=parameter_types.uuid_or_null)

UPDATE = shapes.closed(
    {
        'volume': shapes.closed(
            {
                'name': parameter_types.name,
                'display_name': parameter_types.name,
                'description': parameter_types.description,
                'display_description': parameter_types.description,
                'metadata': parameter_types.metadata_or_null,
            },
            required=(),
        )
    }
)

DELETE_QUERY = {
    'type': 'object',
    'properties': {'cascade': parameter_types.boolean, 'force': parameter_types.boolean},
    'additionalProperties': parameter_types.query_string,
}

_ATTACHMENT = shapes.closed(
    {
        'id': parameter_types.uuid,
        'attachment_id': parameter_types.uuid,
        'volume_id': parameter_types.uuid,
        'server_id': parameter_types.uuid_or_null,
        'host_name': shapes.string_or_null,
        'device': shapes.string_or_null,
        'attached_at': parameter_types.timestamp_or_null,
    }
)

_SUMMARY = {
    'id': parameter_types.uuid,
    'name': shapes.string_or_null,
    'links': parameter_types.links,
}

_DETAIL = {
    **_SUMMARY,
    'attachments': {'type': 'array', 'items': _ATTACHMENT},
    'availability_zone': shapes.string_or_null,
    'bootable': {'enum': ['true', 'false']},
    'consistencygroup_id': {'type': 'null'},
    'created_at': parameter_types.timestamp_or_null,
    'description': shapes.string_or_null,
    'encrypted': {'type': 'boolean'},
    'metadata': {'type': 'object', 'additionalProperties': {'type': 'string'}},
    'multiattach': {'type': 'boolean'},
    'replication_status': shapes.string_or_null,
    'size': {'type': 'integer'},
    'snapshot_id': parameter_types.uuid_or_null,
    'source_volid': parameter_types.uuid_or_null,
    'status': {'type': 'string'},
    'updated_at': parameter_types.timestamp_or_null,
    'user_id': shapes.string_or_null,
    'volume_type': shapes.string_or_null,
}

#: What a show or a list of details adds, each for callers that may see it.
_EXTENSIONS = {
    'os-vol-host-attr:host': shapes.string_or_null,
    'os-vol-tenant-attr:tenant_id': {'type': 'string'},
    'os-vol-mig-status-attr:migstat': shapes.string_or_null,
    'os-vol-mig-status-attr:name_id': shapes.string_or_null,
    'migration_status': shapes.string_or_null,
    'volume_image_metadata': {'type': 'object', 'additionalProperties': {'type': 'string'}},
}

#: Field → the microversion that it appears in, and its schema.
_LATER = {
    'group_id': (versions.GROUPS, {'type': 'null'}),
    'provider_id': (versions.PROVIDER_ID, {'type': 'null'}),
    'service_uuid': (versions.SHARED_TARGETS, {'type': 'null'}),
    'shared_targets': (versions.SHARED_TARGETS, {'type': 'boolean'}),
    'cluster_name': (versions.CLUSTER_NAME, {'type': 'null'}),
    'volume_type_id': (versions.VOLUME_TYPE_ID, parameter_types.uuid_or_null),
    'encryption_key_id': (versions.ENCRYPTION_KEY_ID, parameter_types.uuid),
    'consumes_quota': (versions.CONSUMES_QUOTA, {'type': 'boolean'}),
}
#: Only for administrators, or only when set.
_SOMETIMES = ('provider_id', 'cluster_name', 'encryption_key_id')

CHANGES = sorted({since for since, _ in _LATER.values()})
LIST_CHANGES = sorted({*CHANGES, versions.COUNT_IN_LISTS})


def _volume(version: Version, extensions: dict) -> dict:
    later = {name: schema for name, (since, schema) in _LATER.items() if version >= since}
    required = [*_DETAIL, *(name for name in later if name not in _SOMETIMES)]
    return shapes.closed({**_DETAIL, **later, **extensions}, required)


def created(version: Version) -> dict:
    """Return the answer to a create or an update."""
    return shapes.under('volume', _volume(version, {}))


def shown(version: Version) -> dict:
    """Return the answer to a show."""
    return shapes.under('volume', _volume(version, _EXTENSIONS))


def listed(version: Version) -> dict:
    """Return a list of summaries."""
    return shapes.collection(
        'volumes', shapes.closed(_SUMMARY), counted=version >= versions.COUNT_IN_LISTS)


def detailed(version: Version) -> dict:
    """Return a list of details."""
    return shapes.collection(
        'volumes', _volume(version, _EXTENSIONS), counted=version >= versions.COUNT_IN_LISTS)


def summarised(version: Version) -> dict:
    """Return the answer to a summary."""
    counts = {'total_size': {'type': 'integer'}, 'total_count': {'type': 'integer'}}
    if version >= versions.SUMMARY_METADATA:
        counts['metadata'] = {
            'type': 'object',
            'additionalProperties': {'type': 'array', 'items': {'type': 'string'}},
        }
    return shapes.under('volume-summary', shapes.closed(counts))
