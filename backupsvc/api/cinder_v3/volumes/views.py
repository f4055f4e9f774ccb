# SPDX-License-Identifier: Apache-2.0
"""Volumes as Cinder v3 shows them."""

from backupsvc.api.cinder_v3 import versions, views

_ATTACHMENT_FIELDS = (
    'id', 'attachment_id', 'volume_id', 'server_id', 'host_name', 'device')


def summary(req, volume) -> dict:
    """Return what the short list shows."""
    return {
        'id': volume.id,
        'name': volume.name,
        'links': views.links(req, 'volumes', volume.id),
    }


def detail(req, volume, type_ids: dict[str, str]) -> dict:
    """Return all that the request's microversion knows of a volume.

    :param type_ids: name of each volume type → its id
    """
    body = {
        **summary(req, volume),
        'attachments': [_attachment(attachment) for attachment in volume.attachments],
        'availability_zone': volume.availability_zone,
        'bootable': 'true' if volume.bootable else 'false',
        'consistencygroup_id': None,
        'created_at': views.date(volume.created_at),
        'description': volume.description,
        'encrypted': volume.encrypted,
        'metadata': dict(volume.metadata),
        'multiattach': volume.multiattach,
        'replication_status': None,
        'size': volume.size_gb,
        'snapshot_id': volume.snapshot_id,
        'source_volid': volume.source_volid,
        'status': volume.status,
        'updated_at': views.date(volume.updated_at),
        'user_id': volume.user_id,
        'volume_type': volume.volume_type,
    }
    body.update(_later(req, volume, type_ids))
    return body


def _later(req, volume, type_ids: dict[str, str]) -> dict:
    """Return the fields that came with microversions."""
    body: dict = {}
    if req.version >= versions.GROUPS:
        body['group_id'] = None
    if req.version >= versions.PROVIDER_ID and req.context.is_admin:
        body['provider_id'] = None
    if req.version >= versions.SHARED_TARGETS:
        body.update(service_uuid=None, shared_targets=False)
    if req.version >= versions.CLUSTER_NAME and req.context.is_admin:
        body['cluster_name'] = None
    if req.version >= versions.VOLUME_TYPE_ID:
        body['volume_type_id'] = type_ids.get(volume.volume_type)
    if req.version >= versions.ENCRYPTION_KEY_ID and volume.encryption_key_id:
        body['encryption_key_id'] = volume.encryption_key_id
    if req.version >= versions.CONSUMES_QUOTA:
        body['consumes_quota'] = True
    return body


def extensions(volume, visible: dict[str, bool]) -> dict:
    """Return the fields that only some callers see.

    :param visible: ``host``, ``project``, ``migration``, ``image`` → whether this caller does
    """
    body: dict = {}
    if visible['host']:
        # Tempest and Nova read host@backend#pool.
        body['os-vol-host-attr:host'] = f'{volume.host}@local#local'
    if visible['project']:
        body['os-vol-tenant-attr:tenant_id'] = volume.project_id
    if visible['migration']:
        body.update({
            'os-vol-mig-status-attr:migstat': None,
            'os-vol-mig-status-attr:name_id': None,
            'migration_status': None,
        })
    if visible['image'] and volume.image_metadata:
        body['volume_image_metadata'] = dict(volume.image_metadata)
    return body


def _attachment(attachment: dict) -> dict:
    return {
        **{name: attachment[name] for name in _ATTACHMENT_FIELDS},
        'attached_at': attachment['attached_at'],
    }
