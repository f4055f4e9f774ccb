# SPDX-License-Identifier: Apache-2.0
"""Holds on Cinder's volumes and snapshots.

Who holds what is written in the book; it decides among ourselves. Cinder is told as well, so that
nobody else takes a volume: one that is available gets an attachment, reserved for the task; one
that is in use is moved out of ``in-use`` as a detachment does. Both are compare-and-swap at
Cinder. The status that users see is set afterwards, by ``os-reset_status``, which is none; so what
an administrator sets at the same moment is lost. Nothing of Cinder is atomic for a snapshot.
"""

import datetime
from collections.abc import Collection
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from backupsvc import exception
from backupsvc.clients import Refused
from backupsvc.drivers.base import HoldBook, HoldRecord
from backupsvc.drivers.volume.cinder.client import CinderClient

LOG = logging.getLogger(__name__)

#: What Cinder lets us set in place of a status that it does not know.
_SHOWN = {'reverting': 'restoring-backup'}

#: Statuses that a volume has only while somebody like us works on it, and those on the way there.
_PASSING = ('backing-up', 'restoring-backup', 'reserved', 'attaching', 'detaching')
_SNAPSHOT_PASSING = ('backing-up', 'restoring')

#: What a volume is when nobody works on it.
_FREE = ('available', 'in-use')


class Holds:
    """Takes holds and gives them back."""

    def __init__(self, client: CinderClient, book: HoldBook):
        self._client = client
        self._book = book

    # -- volumes

    def acquire_volume(self, shown: dict[str, Any], *, holder: str, status: str,
                       expected: Collection[str]) -> HoldRecord:
        """Take the hold on a volume.

        :param shown: what Cinder says of it now
        :raises InvalidVolume: the status is not expected, or somebody else holds it
        """
        volume_id = shown['id']
        record = self._book.find(volume_id)
        is_new = record is None
        if record is None:
            if shown['status'] not in expected:
                raise _not_expected(shown, expected)
            record = self._book.take(_record(shown, holder, status, is_snapshot=False))
        if record.holder != holder:
            raise exception.InvalidVolume(
                reason=f'Volume {volume_id} is in use by another task of the backup service.',
                status=shown['status'])
        if record.status != status:
            self._book.change(volume_id, holder, status=status)
        try:
            self.enforce(record.previous_status, shown, holder, status)
        except Refused as refused:
            if is_new:
                self._book.drop(volume_id, holder)
            raise exception.InvalidVolume(
                reason=refused.message, status=shown['status']) from refused
        return record

    def hold_new(self, shown: dict[str, Any], holder: str) -> None:
        """Note that a volume was made for a task; Cinder is told once it is available."""
        self._book.take(HoldRecord(
            resource_id=shown['id'], is_snapshot=False, holder=holder, status='restoring-backup',
            previous_status='error', since=_now(), is_unwritten=True))

    def enforce(self, previous_status: str, shown: dict[str, Any], holder: str,
                status: str) -> None:
        """Have Cinder keep others away, and show the status; may be repeated.

        :raises Refused: the volume is not what it was
        """
        volume_id = shown['id']
        wanted = _SHOWN.get(status, status)
        if previous_status == 'in-use':
            if shown['status'] == 'in-use':
                self._client.post(f'/volumes/{volume_id}/action', {'os-begin_detaching': {}})
        elif not attachments(self._client, volume_id, holder):
            self._client.post('/attachments', {'attachment': {
                'volume_uuid': volume_id, 'instance_uuid': holder,
                'mode': 'ro' if status == 'backing-up' else 'rw'}})
        elif shown['status'] == wanted:
            return
        show_as(self._client, volume_id, wanted)

    def release_volume(self, volume_id: str, *, holder: str, status: str | None) -> None:
        """Give a volume back; not held for this holder: nothing happens."""
        record = self._book.find(volume_id)
        if record is None or record.holder != holder:
            return
        for attachment in attachments(self._client, volume_id, holder):
            self._client.delete(f'/attachments/{attachment["id"]}')
        found = self._client.find(f'/volumes/{volume_id}')
        if found is not None:
            self._restore_status(found['volume'], status or record.previous_status)
        self._book.drop(volume_id, holder)

    def _restore_status(self, shown: dict[str, Any], wanted: str) -> None:
        """Set what a volume is after a hold, unless somebody has done something with it since."""
        attached = bool(shown.get('attachments'))
        if wanted in _FREE:
            wanted = 'in-use' if attached else 'available'
        now = shown['status']
        is_ours = now in _PASSING or (now == 'available' and not attached)
        if now != wanted and is_ours:
            show_as(self._client, shown['id'], wanted)

    # -- snapshots

    def acquire_snapshot(self, shown: dict[str, Any], *, holder: str, status: str,
                         expected: Collection[str]) -> HoldRecord:
        """As acquire_volume, for a snapshot."""
        snapshot_id = shown['id']
        record = self._book.find(snapshot_id)
        if record is None:
            if shown['status'] not in expected:
                raise exception.InvalidSnapshot(
                    reason=f'Snapshot {snapshot_id} must be {" or ".join(expected)}, but the '
                           f'current status is "{shown["status"]}".', status=shown['status'])
            record = self._book.take(_record(shown, holder, status, is_snapshot=True))
        if record.holder != holder:
            raise exception.InvalidSnapshot(
                reason=f'Snapshot {snapshot_id} is in use by another task of the backup service.',
                status=shown['status'])
        if shown['status'] != status:
            self.show_snapshot_as(snapshot_id, status)
        return record

    def release_snapshot(self, snapshot_id: str, *, holder: str, status: str | None) -> None:
        """As release_volume, for a snapshot."""
        record = self._book.find(snapshot_id)
        if record is None or record.holder != holder:
            return
        found = self._client.find(f'/snapshots/{snapshot_id}')
        wanted = status or record.previous_status
        if found is not None and found['snapshot']['status'] in _SNAPSHOT_PASSING:
            self.show_snapshot_as(snapshot_id, wanted)
        self._book.drop(snapshot_id, holder)

    def show_snapshot_as(self, snapshot_id: str, status: str) -> None:
        """Set the status that Cinder shows."""
        self._client.post(f'/snapshots/{snapshot_id}/action',
                          {'os-reset_status': {'status': status}})


def attachments(client: CinderClient, volume_id: str, holder: str) -> list[dict[str, Any]]:
    """Return the attachments of a volume that are reserved or connected for a task."""
    return list(client.items('attachments', '/attachments/detail', all_tenants=1,
                             volume_id=volume_id, instance_id=holder))


def show_as(client: CinderClient, volume_id: str, status: str) -> None:
    """Set the status that Cinder shows of a volume."""
    client.post(f'/volumes/{volume_id}/action', {'os-reset_status': {'status': status}})


def seems_held(client: CinderClient, shown: dict[str, Any], holder: str) -> bool:
    """Tell by what Cinder says alone whether a volume is held for a task. Of one that is in use it
    only says that somebody holds it.
    """
    if attachments(client, shown['id'], holder):
        return True
    return bool(shown.get('attachments')) and shown['status'] in _PASSING


def _record(shown: dict[str, Any], holder: str, status: str, *, is_snapshot: bool) -> HoldRecord:
    return HoldRecord(resource_id=shown['id'], is_snapshot=is_snapshot, holder=holder,
                      status=status, previous_status=shown['status'], since=_now())


def _now() -> datetime.datetime:
    return timeutils.utcnow(with_timezone=True)


def _not_expected(shown: dict[str, Any], expected: Collection[str]) -> exception.InvalidVolume:
    return exception.InvalidVolume(
        reason=f'Volume {shown["id"]} must be {" or ".join(expected)}, but the current status is '
               f'"{shown["status"]}".', status=shown['status'])
