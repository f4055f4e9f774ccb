# SPDX-License-Identifier: Apache-2.0
"""The rows of the map. What they take and answer is declared by the services behind."""

from collections.abc import Callable

from backupsvc.api.gateway_v1 import controller
from backupsvc.wsgi.dialect import Route

#: Statuses of success that the two services answer with.
SUCCESSES = (200, 201, 202, 204)

#: Those of the services' errors, and of the gateway's own.
ERRORS = (400, 403, 404, 406, 409, 413, 415, 501, 502, 503, 504)


def _row(method: str, path: str, handler: Callable) -> Route:
    return Route(method, path, handler, errors=ERRORS, forwarded=SUCCESSES)


ROUTES = [
    _row('GET', '/block/snapshot', controller.list_snapshots),
    _row('POST', '/block/snapshot', controller.create_snapshot),
    _row('GET', '/block/snapshot/{snapshot_id}', controller.show_snapshot),
    _row('DELETE', '/block/snapshot/{snapshot_id}', controller.delete_snapshot),
    _row('GET', '/block/backup', controller.list_volume_backups),
    _row('POST', '/block/backup', controller.create_volume_backup),
    _row('GET', '/block/backup/{backup_id}', controller.show_volume_backup),
    _row('DELETE', '/block/backup/{backup_id}', controller.delete_volume_backup),
    _row('POST', '/block/backup/{backup_id}/action', controller.act_on_volume_backup),
    _row('GET', '/block/volume', controller.list_volumes),
    _row('POST', '/block/volume', controller.create_volume),
    _row('GET', '/block/volume/{volume_id}', controller.show_volume),
    _row('DELETE', '/block/volume/{volume_id}', controller.delete_volume),
    _row('POST', '/block/volume/{volume_id}/action', controller.act_on_volume),
    _row('GET', '/compute/snapshot', controller.list_instance_snapshots),
    _row('POST', '/compute/snapshot', controller.create_instance_snapshot),
    _row('GET', '/compute/snapshot/{snapshot_id}', controller.show_instance_snapshot),
    _row('DELETE', '/compute/snapshot/{snapshot_id}', controller.delete_instance_snapshot),
    _row('GET', '/compute/backup', controller.list_instance_backups),
    _row('POST', '/compute/backup', controller.create_instance_backup),
    _row('GET', '/compute/backup/{backup_id}', controller.show_instance_backup),
    _row('DELETE', '/compute/backup/{backup_id}', controller.delete_instance_backup),
    _row('POST', '/compute/backup/{backup_id}/action', controller.act_on_instance_backup),
]
