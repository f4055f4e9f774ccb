# SPDX-License-Identifier: Apache-2.0
"""Snapshots and volumes that are made so that a moment can be read, and their removal.

They are in the project of the service's user, where no tenant sees them and no tenant's quota
counts them, except for those that may become a tenant's. Each carries the id of its task.
"""

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils

from backupsvc import exception
from backupsvc.clients import Refused
from backupsvc.drivers.base import Hold
from backupsvc.drivers.volume.cinder import client, views
from backupsvc.drivers.volume.cinder.client import CinderClient

LOG = logging.getLogger(__name__)

#: The name of snapshots that may become a tenant's; what lists of all projects look for.
TAKEN_NAME = 'backupsvc-taken'

_DELETABLE_STATUSES = ('available', 'error', 'error_deleting')


class Temporaries:
    """Makes, finds and removes them."""

    def __init__(self, service: CinderClient, options: cfg.ConfigOpts.GroupAttr):
        self._client = service
        self._options = options

    def _marks(self, use: str, holder: str) -> dict[str, str]:
        return {views.TASK: holder, views.USE: use, views.DEPLOYMENT: self._options.deployment}

    def _is_marked(self, shown: dict[str, Any], *uses: str) -> bool:
        marks = shown.get('metadata') or {}
        return (marks.get(views.USE) in uses
                and marks.get(views.DEPLOYMENT) == self._options.deployment)

    # -- snapshots

    def snapshot(self, volume: dict[str, Any], use: str, holder: str,
                 owner: CinderClient | None = None) -> dict[str, Any]:
        """Return the snapshot of a volume for a task, as Cinder shows it; what the task has
        already is taken again: it is the same moment.

        :param owner: client of the project that it is to belong to; None is the service's own
        """
        for shown in self._snapshots(volume['id'], holder, (use,)):
            if not shown['status'].startswith('error'):
                return shown
            self.remove_snapshot(shown['id'])
        name = TAKEN_NAME if use == views.TAKEN else f'backupsvc-{use}'
        with self._as('volumes', volume, 'in-use'):
            return (owner or self._client).post('/snapshots', {'snapshot': {
                'volume_id': volume['id'], 'name': name,
                'metadata': self._marks(use, holder)}})['snapshot']

    def wait_snapshot(self, snapshot_id: str, deadline_s: float | None = None) -> dict[str, Any]:
        """Return a snapshot once it has left ``creating``.

        :raises SnapshotNotFound: it is gone
        :raises DriverFailed: it ended in error, or takes too long
        """
        def look() -> dict[str, Any] | None:
            found = self._client.find(f'/snapshots/{snapshot_id}')
            if found is None:
                raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
            shown = found['snapshot']
            if shown['status'].startswith('error'):
                raise exception.DriverFailed(
                    reason=f'Cinder could not make snapshot {snapshot_id}: it is in status '
                           f'"{shown["status"]}".')
            return None if shown['status'] == 'creating' else shown

        return client.wait_until(f'Snapshot {snapshot_id}', look, self._deadline(deadline_s))

    def taken(self, volume_id: str, holder: str) -> list[dict[str, Any]]:
        """Return the snapshots of a volume that were taken for a task and not kept."""
        return self._snapshots(volume_id, holder, (views.TAKEN,))

    def kept(self, volume_id: str) -> list[dict[str, Any]]:
        """Return the snapshots of a volume that are kept to compare with."""
        return self._snapshots(volume_id, None, (views.KEPT,))

    def _snapshots(self, volume_id: str, holder: str | None,
                   uses: tuple[str, ...]) -> list[dict[str, Any]]:
        found = self._client.items(
            'snapshots', '/snapshots/detail', all_tenants=1, volume_id=volume_id)
        return [shown for shown in found
                if self._is_marked(shown, *uses) and self._is_ours(shown)
                and (holder is None or views.use_of(shown)[1] == holder)]

    def _is_ours(self, shown: dict[str, Any]) -> bool:
        """Tell whether a mark is to be believed: in other projects users can set it, too."""
        project_id = shown.get('os-extended-snapshot-attributes:project_id')
        return project_id == self._client.project_id or (
            views.use_of(shown)[0] == views.TAKEN and shown.get('name') == TAKEN_NAME)

    # -- volumes

    def volume_of(self, snapshot: dict[str, Any], holder: str) -> dict[str, Any]:
        """Return a volume made of a snapshot for a task, once it is there."""
        for shown in self._volumes(holder):
            if shown['snapshot_id'] == snapshot['id'] and shown['status'] in (
                    'creating', 'available', 'attaching'):
                return self._wait_volume(shown['id'])
        with self._as('snapshots', snapshot, 'available'):
            made = self._client.post('/volumes', {'volume': {
                'snapshot_id': snapshot['id'], 'size': snapshot['size'],
                'name': _volume_name(holder),
                'metadata': {**self._marks(views.TEMPORARY, holder),
                             views.ORIGIN: snapshot['volume_id']}}})['volume']
        return self._wait_volume(made['id'])

    def _wait_volume(self, volume_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            shown = self._client.get(f'/volumes/{volume_id}')['volume']
            if shown['status'].startswith('error'):
                raise exception.DriverFailed(
                    reason=f'Cinder could not make the temporary volume {volume_id}: it is in '
                           f'status "{shown["status"]}".')
            return None if shown['status'] == 'creating' else shown

        return client.wait_until(f'Temporary volume {volume_id}', look, self._deadline(None))

    def attachment_of(self, volume: dict[str, Any]) -> dict[str, Any] | None:
        """Return the attachment that an earlier attempt has made of a temporary volume."""
        for found in self._client.items('attachments', '/attachments', volume_id=volume['id']):
            shown = self._client.get(f'/attachments/{found["id"]}')['attachment']
            if shown.get('connection_info'):
                return shown
        return None

    def _volumes(self, holder: str | None = None) -> list[dict[str, Any]]:
        params = {'name': _volume_name(holder)} if holder else {}
        return [shown for shown in self._client.items('volumes', '/volumes/detail', **params)
                if self._is_marked(shown, views.TEMPORARY)]

    # -- removal

    def remove(self, volume_id: str, holder: str) -> None:
        """Remove what was made for a task to read a volume, or a snapshot of it, and wait for it.

        :raises DriverFailed: it is not gone in time
        """
        for shown in self._volumes(holder):
            if shown['metadata'].get(views.ORIGIN) == volume_id:
                self.remove_volume(shown['id'])
        for shown in self._snapshots(volume_id, holder, (views.TEMPORARY,)):
            self.remove_snapshot(shown['id'])

    def remove_taken(self, volume_id: str, holder: str) -> None:
        """Remove what was taken of a volume for a task and not kept."""
        for shown in self.taken(volume_id, holder):
            self.remove_snapshot(shown['id'])

    def remove_kept(self, volume_id: str, but: set[str | None]) -> None:
        """Have Cinder remove what is kept of a volume ``but`` these, without waiting for it."""
        for shown in self.kept(volume_id):
            if shown['id'] not in but:
                try:
                    self._client.delete(f'/snapshots/{shown["id"]}')
                except Refused as refused:
                    LOG.warning('The kept snapshot %s is left to the sweep of holds: %s',
                                shown['id'], refused.message)

    def remove_by_id(self, resource_id: str) -> bool:
        """Remove a temporary volume by its id; False: it is none."""
        found = self._client.find(f'/volumes/{resource_id}')
        if found is None or not self._is_marked(found['volume'], views.TEMPORARY):
            return False
        self.remove_volume(resource_id)
        return True

    def remove_volume(self, volume_id: str) -> None:
        """Remove a temporary volume, attached or not, and wait until it is gone."""
        for attachment in self._client.items('attachments', '/attachments', volume_id=volume_id):
            self._client.delete(f'/attachments/{attachment["id"]}')

        def look() -> bool | None:
            found = self._client.find(f'/volumes/{volume_id}')
            if found is None:
                return True
            if found['volume']['status'] in _DELETABLE_STATUSES:
                self._client.delete(f'/volumes/{volume_id}')
            return None

        client.wait_until(f'The removal of volume {volume_id}', look, self._deadline(None))

    def remove_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot and wait until it is gone.

        :raises Refused: Cinder does not let go of it
        """
        def look() -> bool | None:
            found = self._client.find(f'/snapshots/{snapshot_id}')
            if found is None:
                return True
            status = found['snapshot']['status']
            if status == 'backing-up':
                self._client.post(f'/snapshots/{snapshot_id}/action',
                                  {'os-reset_status': {'status': 'available'}})
            elif status in _DELETABLE_STATUSES:
                self._client.delete(f'/snapshots/{snapshot_id}')
            return None

        client.wait_until(f'The removal of snapshot {snapshot_id}', look, self._deadline(None))

    # -- what is there

    def leftovers(self) -> Iterator[Hold]:
        """Yield all that is to go with its task, and what was kept for longer than it may be."""
        for shown in self._volumes():
            yield _hold(shown, is_snapshot=False)
        for shown in self._client.items('snapshots', '/snapshots/detail'):
            if self._is_marked(shown, views.TEMPORARY) or (
                    self._is_marked(shown, views.KEPT) and self._is_expired(shown)):
                yield _hold(shown, is_snapshot=True)
        for shown in self._client.items('snapshots', '/snapshots/detail', all_tenants=1,
                                        name=TAKEN_NAME):
            if self._is_marked(shown, views.TAKEN):
                yield _hold(shown, is_snapshot=True)

    def _is_expired(self, shown: dict[str, Any]) -> bool:
        if not self._options.keep_snapshots:
            return True
        made_at = views.time_of(shown['created_at'])
        age = timeutils.utcnow(with_timezone=True) - made_at if made_at else datetime.timedelta()
        return age > datetime.timedelta(days=self._options.kept_snapshot_days)

    def _deadline(self, deadline_s: float | None) -> float:
        return self._options.operation_timeout if deadline_s is None else deadline_s

    @contextlib.contextmanager
    def _as(self, collection: str, shown: dict[str, Any], status: str) -> Iterator[None]:
        """Show a held resource in a status in which Cinder makes something of it, for as long as
        the request for that takes.
        """
        if shown['status'] in ('available', status):
            yield
            return
        path = f'/{collection}/{shown["id"]}/action'
        self._client.post(path, {'os-reset_status': {'status': status}})
        try:
            yield
        finally:
            self._client.post(path, {'os-reset_status': {'status': shown['status']}})


def _volume_name(holder: str) -> str:
    return f'backupsvc-{holder}'


def _hold(shown: dict[str, Any], *, is_snapshot: bool) -> Hold:
    return Hold(
        holder=views.use_of(shown)[1] or '', resource_id=shown['id'], is_snapshot=is_snapshot,
        status=shown['status'], since=views.time_of(shown['created_at']) or timeutils.utcnow(
            with_timezone=True), is_taken=True)
