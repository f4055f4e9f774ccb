# SPDX-License-Identifier: Apache-2.0
"""Finds the backups that repositories hold and no record knows, and has them imported."""

import base64
import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from backupsvc import conf as configuration
from backupsvc import context as request_context
from backupsvc import exception, rpc
from backupsvc.drivers import loader
from backupsvc.engine import errors
from backupsvc.manager import repositories
from backupsvc.objects.backup import Backup
from backupsvc.orchestration import records

_GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Found:
    """A backup in a repository.

    :ivar is_known: a record that is not deleted stands for it
    :ivar record: what an export would have given
    """

    id: str
    name: str | None
    container: str
    created_at: str
    is_known: bool
    project_id: str
    record: dict[str, Any]


def find(project_id: str, containers: Sequence[str] | None = None,
         driver: str | None = None) -> Iterator[Found]:
    """Yield the volume backups of a project's repositories.

    :param containers: only these; None for all
    :param driver: None for the configured repository driver
    :raises NotFound: a container that was named is not there
    :raises DriverFailed: a repository cannot be read, with the reason
    """
    context = request_context.get_admin_context()
    driver = driver or configuration.current().repository.driver
    names = containers or loader.repository_driver(driver).list_containers(context, project_id)
    for container in names:
        try:
            with contextlib.closing(repositories.open_repository(
                    context, project_id, container, driver=driver)) as repository:
                manifests = list(repository.list_manifests())
        except errors.EngineError as error:
            raise exception.DriverFailed(reason=f'Container {container}: {error}') from error
        for manifest in manifests:
            yield _found(context, project_id, driver, container, manifest)


def _found(context: Any, project_id: str, driver: str, container: str, manifest: Any) -> Found:
    facts = manifest.facts.get('backup') or {}
    size_gb = facts.get('size_gb') or -(-manifest.size_bytes // _GIB)
    moment = facts.get('data_timestamp')
    return Found(
        id=manifest.id, name=facts.get('name'), container=container, created_at=moment or '',
        is_known=_is_known(context, manifest.id), project_id=facts.get('project_id') or project_id,
        record={
            'id': manifest.id, 'size': max(1, size_gb), 'display_name': facts.get('name'),
            'display_description': facts.get('description'), 'container': container,
            'service_metadata': manifest.id, 'object_count': 0, 'created_at': moment,
            'data_timestamp': moment, 'volume_id': facts.get('source_id'),
            'driver_info': {
                'version': 1, 'repository': driver, 'repository_project_id': project_id,
                'container': container, 'manifest_id': manifest.id}})


def _is_known(context: Any, backup_id: str) -> bool:
    try:
        Backup.get_by_id(context, backup_id)
    except exception.BackupNotFound:
        return False
    return True


def import_again(found: Found) -> None:
    """Record a backup for the project that made it; a manager checks it against its data.

    :raises ServiceNotFound: no manager is alive
    :raises OverQuota: the project may hold no more
    """
    context = request_context.RequestContext(
        project_id=found.project_id, is_admin=True, overwrite=False)
    url = base64.b64encode(json.dumps(found.record).encode()).decode()
    records.import_record(context, records.SERVICE, url)
    rpc.flush()
