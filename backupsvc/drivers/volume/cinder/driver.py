# SPDX-License-Identifier: Apache-2.0
"""Volume driver ``cinder``: the volumes of an OpenStack cloud."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import uuidutils

from backupsvc import clients, exception
from backupsvc.clients import Refused
from backupsvc.context import RequestContext
from backupsvc.drivers.base import Hold, HoldBook, NewVolume, Snapshot, Volume
from backupsvc.drivers.volume.base import VolumeDriver
from backupsvc.drivers.volume.cinder import (
    access,
    client,
    holds,
    opts,
    streams,
    temporaries,
    views,
)
from backupsvc.engine.source import Source, Target

LOG = logging.getLogger(__name__)


class CinderVolumeDriver(VolumeDriver):
    """Volumes that Cinder keeps. See ``holds`` for how they are held."""

    name = 'cinder'

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf)
        self._options = conf[opts.GROUP]
        self._access = access.Access(conf)
        self._client = self._access.service()

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, [*opts.OPTS, *clients.session_options()])]

    def check_setup(self) -> None:
        """Ask Cinder for something that only an administrator sees.

        :raises DriverFailed: it does not answer, or the service user may not
        """
        try:
            self._client.get('/os-services', binary='cinder-volume')
        except Refused as refused:
            raise exception.DriverFailed(
                reason=f'[{opts.GROUP}] Cinder does not take the service user for an '
                       f'administrator: {refused.message}') from refused

    def forward_base_url(self, context: RequestContext) -> str | None:
        return self._access.base_url()

    @property
    def _book(self) -> HoldBook:
        if self.hold_book is None:
            raise exception.DriverFailed(reason='This process keeps no book of holds.')
        return self.hold_book

    @property
    def _holds(self) -> holds.Holds:
        return holds.Holds(self._client, self._book)

    @property
    def _temporaries(self) -> temporaries.Temporaries:
        return temporaries.Temporaries(self._client, self._options)

    # -- volumes and snapshots

    def _volume(self, context: RequestContext, volume_id: str) -> dict[str, Any]:
        found = None
        if uuidutils.is_uuid_like(volume_id):
            found = self._client.find(f'/volumes/{volume_id}')
        shown = found and found['volume']
        if not shown or not (context.is_admin or context.project_id == views.owner_of(shown)):
            raise exception.VolumeNotFound(volume_id=volume_id)
        return shown

    def _snapshot(self, context: RequestContext, snapshot_id: str) -> dict[str, Any]:
        found = None
        if uuidutils.is_uuid_like(snapshot_id):
            found = self._client.find(f'/snapshots/{snapshot_id}')
        shown = found and found['snapshot']
        if not shown or not (context.is_admin or (
                context.project_id == views.owner_of(shown) and views.use_of(shown)[0] is None)):
            raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
        return shown

    def show_volume(self, context: RequestContext, volume_id: str) -> Volume:
        return views.volume(self._volume(context, volume_id))

    def show_snapshot(self, context: RequestContext, snapshot_id: str) -> Snapshot:
        return views.snapshot(self._snapshot(context, snapshot_id))

    def create_volume(self, context: RequestContext, new: NewVolume) -> Volume:
        wanted = {
            'size': new.size_gb, 'name': new.name, 'description': new.description,
            'volume_type': new.volume_type, 'availability_zone': new.availability_zone,
            'snapshot_id': new.snapshot_id, 'source_volid': new.source_volid,
            'metadata': new.metadata or None, 'multiattach': new.multiattach or None,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        try:
            made = self._access.creator(context).post('/volumes', {'volume': body})['volume']
        except Refused as refused:
            if refused.status == 413:
                raise exception.OverQuota(refused.message) from refused
            if refused.status == 403:
                raise exception.Forbidden(refused.message) from refused
            if refused.status == 404:
                raise exception.NotFound(refused.message) from refused
            raise exception.Invalid(refused.message) from refused
        if new.holder:
            self._holds.hold_new(made, new.holder)
        return views.volume({**made, views.PROJECT: context.project_id})

    def wait_volume(self, context: RequestContext, volume_id: str, deadline_s: float) -> Volume:
        def look() -> dict[str, Any] | None:
            shown = self._volume(context, volume_id)
            if shown['status'].startswith('error'):
                raise exception.DriverFailed(
                    reason=f'Volume {volume_id} could not be made: it is in status '
                           f'"{shown["status"]}".')
            return None if shown['status'] in ('creating', 'downloading') else shown

        shown = client.wait_until(f'Volume {volume_id}', look, deadline_s)
        record = self.hold_book.find(volume_id) if self.hold_book else None
        if record is None or not record.is_unwritten:
            return views.volume(shown)
        try:
            self._holds.enforce(record.previous_status, shown, record.holder, record.status)
        except Refused as refused:
            raise exception.InvalidVolume(
                reason=refused.message, status=shown['status']) from refused
        return views.volume(shown, status=record.status)

    def delete_volume(self, context: RequestContext, volume_id: str, *,
                      holder: str | None = None) -> None:
        record = self._book.find(volume_id)
        found = self._client.find(f'/volumes/{volume_id}')
        if found is None:
            if record is not None:
                self._book.drop(volume_id, record.holder)
            return
        if record is not None and record.is_unwritten and (
                found['volume']['status'] == 'creating'):
            LOG.warning('Volume %s is being made; the sweep of holds removes it', volume_id)
            return
        if (record.holder if record else None) != holder:
            raise exception.InvalidVolume(
                reason=f'Volume {volume_id} is in use by another task of the backup service, or '
                       'not held for this one.')
        if holder is not None:
            self._temporaries.remove(volume_id, holder)
            for attachment in holds.attachments(self._client, volume_id, holder):
                self._client.delete(f'/attachments/{attachment["id"]}')
        self._remove_volume(volume_id)
        if holder is not None:
            self._book.drop(volume_id, holder)

    def _remove_volume(self, volume_id: str) -> None:
        try:
            self._client.delete(f'/volumes/{volume_id}')
        except Refused as refused:
            raise exception.InvalidVolume(reason=refused.message) from refused
        client.wait_until(
            f'The removal of volume {volume_id}',
            lambda: True if self._client.find(f'/volumes/{volume_id}') is None else None,
            self._options.operation_timeout)

    def update_restored(self, context: RequestContext, volume_id: str, *,
                        name: str | None = None, description: str | None = None,
                        metadata: dict[str, str] | None = None,
                        image_metadata: dict[str, str] | None = None,
                        bootable: bool | None = None) -> None:
        shown = self._volume(context, volume_id)
        path = f'/volumes/{volume_id}'
        texts = {key: value for key, value in (('name', name), ('description', description))
                 if value is not None}
        with _refused_as(exception.InvalidVolume):
            if texts:
                self._client.put(path, {'volume': texts})
            if metadata is not None:
                self._client.put(f'{path}/metadata', {'metadata': metadata})
            if image_metadata is not None:
                for key in set(shown.get('volume_image_metadata') or {}) - set(image_metadata):
                    self._client.post(
                        f'{path}/action', {'os-unset_image_metadata': {'key': key}})
                if image_metadata:
                    self._client.post(
                        f'{path}/action', {'os-set_image_metadata': {'metadata': image_metadata}})
            if bootable is not None:
                self._client.post(f'{path}/action', {'os-set_bootable': {'bootable': bootable}})

    # -- holds

    def acquire_volume(self, context: RequestContext, volume_id: str, *, holder: str, status: str,
                       expected: Collection[str]) -> Volume:
        shown = self._volume(context, volume_id)
        record = self._holds.acquire_volume(
            shown, holder=holder, status=status, expected=expected)
        return views.volume(shown, status=status, previous_status=record.previous_status)

    def release_volume(self, context: RequestContext, volume_id: str, *, holder: str,
                       status: str | None = None) -> None:
        record = self._book.find(volume_id)
        if record is None or record.holder != holder:
            return
        with _refused_as(exception.InvalidVolume):
            self._temporaries.remove(volume_id, holder)
            self._holds.release_volume(volume_id, holder=holder, status=status)

    def acquire_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                         status: str, expected: Collection[str]) -> Snapshot:
        shown = self._snapshot(context, snapshot_id)
        with _refused_as(exception.InvalidSnapshot):
            self._holds.acquire_snapshot(shown, holder=holder, status=status, expected=expected)
        return views.snapshot(shown, status=status)

    def release_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                         status: str | None = None) -> None:
        record = self._book.find(snapshot_id)
        if record is None or record.holder != holder:
            return
        with _refused_as(exception.InvalidSnapshot):
            found = self._client.find(f'/snapshots/{snapshot_id}')
            if found is not None:
                self._temporaries.remove(found['snapshot']['volume_id'], holder)
            self._holds.release_snapshot(snapshot_id, holder=holder, status=status)

    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        for record in self._book.records():
            yield Hold(holder=record.holder, resource_id=record.resource_id,
                       is_snapshot=record.is_snapshot, status=record.status, since=record.since,
                       is_unwritten=record.is_unwritten)
        yield from self._temporaries.leftovers()

    # -- snapshots that are taken

    def take_snapshot(self, context: RequestContext, volume_id: str, *, holder: str) -> Snapshot:
        volume = self._volume(context, volume_id)
        self._check_held(volume, holder)
        # In the tenant's project from the start: Cinder cannot hand a snapshot over.
        owner = self._access.project(views.owner_of(volume))
        with _refused_as(exception.InvalidVolume):
            return views.snapshot(
                self._temporaries.snapshot(volume, views.TAKEN, holder, owner))

    def wait_snapshot(self, context: RequestContext, snapshot_id: str,
                      deadline_s: float) -> Snapshot:
        return views.snapshot(self._temporaries.wait_snapshot(snapshot_id, deadline_s))

    def keep_snapshot(self, context: RequestContext, snapshot_id: str, *, holder: str,
                      name: str | None, description: str | None, metadata: Mapping[str, str],
                      limits: Mapping[str, int] | None = None) -> Snapshot:
        shown = self._snapshot(context, snapshot_id)
        use, made_for = views.use_of(shown)
        if use is None:
            return views.snapshot(shown)
        if made_for != holder or shown['status'] != 'available':
            raise exception.InvalidSnapshot(
                reason=f'Snapshot {snapshot_id} is in status "{shown["status"]}", or was taken '
                       'for another task.', status=shown['status'])
        path = f'/snapshots/{snapshot_id}'
        with _refused_as(exception.InvalidSnapshot):
            self._client.put(path, {'snapshot': {'name': name, 'description': description}})
            # Last: without the marks it is the user's.
            self._client.put(f'{path}/metadata', {'metadata': dict(metadata)})
        return views.snapshot(self._snapshot(context, snapshot_id))

    def remove_taken(self, context: RequestContext, volume_id: str, *, holder: str) -> None:
        with _refused_as(exception.InvalidSnapshot):
            self._temporaries.remove_taken(volume_id, holder)

    def remove_snapshot(self, context: RequestContext, snapshot_id: str) -> None:
        if self._book.find(snapshot_id) is not None:
            raise exception.InvalidSnapshot(
                reason=f'Snapshot {snapshot_id} is in use by a task of the backup service.')
        with _refused_as(exception.InvalidSnapshot):
            if not self._temporaries.remove_by_id(snapshot_id):
                self._temporaries.remove_snapshot(snapshot_id)

    # -- bytes

    def open_source(self, context: RequestContext, volume_id: str, *, snapshot_id: str | None,
                    holder: str) -> Source:
        volume = self._volume(context, volume_id)
        opener = streams.Opener(self.conf, self._client, self._temporaries)
        with _refused_as(exception.InvalidVolume):
            if snapshot_id is not None:
                snapshot = self._snapshot(context, snapshot_id)
                self._check_snapshot_held(snapshot, holder)
                return opener.open_snapshot(volume, snapshot, holder)
            self._check_held(volume, holder)
            return opener.open_source(volume, holder)

    def open_target(self, context: RequestContext, volume_id: str, *, holder: str) -> Target:
        volume = self._volume(context, volume_id)
        self._check_held(volume, holder)
        with _refused_as(exception.InvalidVolume):
            opened = streams.Opener(self.conf, self._client, self._temporaries).open_target(
                volume, holder)
        if self.hold_book is not None:
            self.hold_book.change(volume_id, holder, is_unwritten=False)
        return opened

    def _check_held(self, volume: dict[str, Any], holder: str) -> None:
        if self.hold_book is None:
            is_held = holds.seems_held(self._client, volume, holder)
        else:
            record = self.hold_book.find(volume['id'])
            is_held = record is not None and record.holder == holder
        if not is_held:
            raise exception.InvalidVolume(
                reason=f'Volume {volume["id"]} is not held for {holder}.')

    def _check_snapshot_held(self, snapshot: dict[str, Any], holder: str) -> None:
        if self.hold_book is None:
            is_held = snapshot['status'] in ('backing-up', 'restoring')
        else:
            record = self.hold_book.find(snapshot['id'])
            is_held = record is not None and record.holder == holder
        if not is_held:
            raise exception.InvalidSnapshot(
                reason=f'Snapshot {snapshot["id"]} is not held for {holder}.')


@contextlib.contextmanager
def _refused_as(error_class: type[exception.Invalid]) -> Iterator[None]:
    """Raise what Cinder refuses as an error of ours."""
    try:
        yield
    except Refused as refused:
        raise error_class(reason=f'Cinder refuses: {refused.message}') from refused
