# SPDX-License-Identifier: Apache-2.0
"""The map: which service has what is asked for, and under which path."""

from backupsvc import exception
from backupsvc.api.gateway_v1 import services
from backupsvc.wsgi import parameter_types


def _id(req, parameter: str) -> str:
    """Return an id of the path, as it stands there.

    :raises NotFound: nothing can have this id
    """
    text = req.path_params[parameter]
    if not parameter_types.is_id(text):
        raise exception.NotFound()
    return text


# ---- /block: snapshots of volumes ----


def list_snapshots(req):
    """List snapshots of volumes: ``GET /snapshots`` of the Block Storage service."""
    return services.block_storage(req, '/snapshots')


def create_snapshot(req):
    """Make a snapshot of a volume: ``POST /snapshots`` of the Block Storage service."""
    return services.block_storage(req, '/snapshots')


def show_snapshot(req):
    """Show a snapshot of a volume: ``GET /snapshots/{id}`` of the Block Storage service."""
    return services.block_storage(req, f'/snapshots/{_id(req, "snapshot_id")}')


def delete_snapshot(req):
    """Delete a snapshot of a volume: ``DELETE /snapshots/{id}`` of the Block Storage service."""
    return services.block_storage(req, f'/snapshots/{_id(req, "snapshot_id")}')


# ---- /block: backups of volumes ----


def list_volume_backups(req):
    """List backups of volumes: ``GET /volume/backup`` of the Backup service."""
    return services.backup(req, '/volume/backup')


def create_volume_backup(req):
    """Back up a volume: ``POST /volume/backup`` of the Backup service."""
    return services.backup(req, '/volume/backup')


def show_volume_backup(req):
    """Show a backup of a volume: ``GET /volume/backup/{id}`` of the Backup service."""
    return services.backup(req, f'/volume/backup/{_id(req, "backup_id")}')


def act_on_volume_backup(req):
    """Change a backup of a volume: ``POST /volume/backup/{id}/action`` of the Backup service."""
    return services.backup(req, f'/volume/backup/{_id(req, "backup_id")}/action')


def delete_volume_backup(req):
    """Delete a backup of a volume: ``DELETE /volume/backup/{id}`` of the Backup service."""
    return services.backup(req, f'/volume/backup/{_id(req, "backup_id")}')


# ---- /block: volumes ----


def list_volumes(req):
    """List volumes: ``GET /volumes`` of the Block Storage service."""
    return services.block_storage(req, '/volumes')


def create_volume(req):
    """Make a volume: of a backup by the Backup service, any other by the Block Storage service."""
    _, body = req.parsed_body()
    wanted = body.get('volume') if isinstance(body, dict) else None
    if isinstance(wanted, dict) and wanted.get('backup_id') is not None:
        return services.backup(req, '/volume')
    return services.block_storage(req, '/volumes')


def show_volume(req):
    """Show a volume: ``GET /volumes/{id}`` of the Block Storage service."""
    return services.block_storage(req, f'/volumes/{_id(req, "volume_id")}')


def act_on_volume(req):
    """Act on a volume: ``rollback`` by the Backup service, anything else by the Block Storage
    service.
    """
    volume_id = _id(req, 'volume_id')
    _, body = req.parsed_body()
    if not isinstance(body, dict) or len(body) != 1:
        raise exception.InvalidInput(reason='The body must name one action, and only one.')
    if 'rollback' in body:
        return services.backup(req, f'/volume/{volume_id}/action')
    return services.block_storage(req, f'/volumes/{volume_id}/action')


def delete_volume(req):
    """Delete a volume: ``DELETE /volumes/{id}`` of the Block Storage service."""
    return services.block_storage(req, f'/volumes/{_id(req, "volume_id")}')


# ---- /compute: snapshots and backups of instances ----


def list_instance_snapshots(req):
    """List snapshots of instances: ``GET /instance/snapshot`` of the Backup service."""
    return services.backup(req, '/instance/snapshot')


def create_instance_snapshot(req):
    """Make a snapshot of an instance: ``POST /instance/snapshot`` of the Backup service."""
    return services.backup(req, '/instance/snapshot')


def show_instance_snapshot(req):
    """Show a snapshot of an instance: ``GET /instance/snapshot/{id}`` of the Backup service."""
    return services.backup(req, f'/instance/snapshot/{_id(req, "snapshot_id")}')


def delete_instance_snapshot(req):
    """Delete a snapshot of an instance: ``DELETE /instance/snapshot/{id}`` of the Backup
    service.
    """
    return services.backup(req, f'/instance/snapshot/{_id(req, "snapshot_id")}')


def list_instance_backups(req):
    """List backups of instances: ``GET /instance/backup`` of the Backup service."""
    return services.backup(req, '/instance/backup')


def create_instance_backup(req):
    """Back up an instance: ``POST /instance/backup`` of the Backup service."""
    return services.backup(req, '/instance/backup')


def show_instance_backup(req):
    """Show a backup of an instance: ``GET /instance/backup/{id}`` of the Backup service."""
    return services.backup(req, f'/instance/backup/{_id(req, "backup_id")}')


def act_on_instance_backup(req):
    """Change a backup of an instance: ``POST /instance/backup/{id}/action`` of the Backup
    service.
    """
    return services.backup(req, f'/instance/backup/{_id(req, "backup_id")}/action')


def delete_instance_backup(req):
    """Delete a backup of an instance: ``DELETE /instance/backup/{id}`` of the Backup service."""
    return services.backup(req, f'/instance/backup/{_id(req, "backup_id")}')
