# SPDX-License-Identifier: Apache-2.0
"""Opens what a task holds, for reading and for writing; in movers."""

import contextlib
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from backupsvc import exception
from backupsvc.clients import Refused
from backupsvc.drivers.volume.cinder import connection, holds, opts, rbd, views
from backupsvc.drivers.volume.cinder.client import CinderClient
from backupsvc.drivers.volume.cinder.temporaries import Temporaries
from backupsvc.engine.source import Source, Target

LOG = logging.getLogger(__name__)


class Opener:
    """Opens the images of held volumes and snapshots."""

    def __init__(self, conf: cfg.ConfigOpts, client: CinderClient, temporaries: Temporaries):
        self._conf = conf
        self._options = conf[opts.GROUP]
        self._client = client
        self._temporaries = temporaries

    def open_source(self, volume: dict[str, Any], holder: str) -> Source:
        """Open a held volume: as it is, or by a snapshot where somebody may write to it, or where
        the next backup is to compare with it.
        """
        own = holds.attachments(self._client, volume['id'], holder)
        is_kept = self._options.keep_snapshots
        if own and not is_kept:
            opened = self._connect_reserved(volume, own[0])
            return rbd.RbdSource(
                opened.image, find_snapshot=self._snapshot_name,
                close=lambda since: opened.close())
        snapshot = self._temporaries.wait_snapshot(self._temporaries.snapshot(
            volume, views.KEPT if is_kept else views.TEMPORARY, holder)['id'])
        if not own:
            return self._open_moment(volume, snapshot, holder)
        opened = self._connect_reserved(volume, own[0])
        return self._source(opened, volume, snapshot, holder)

    def open_snapshot(self, volume: dict[str, Any], snapshot: dict[str, Any],
                      holder: str) -> Source:
        """Open a held snapshot."""
        return self._open_moment(volume, snapshot, holder)

    def open_target(self, volume: dict[str, Any], holder: str) -> Target:
        """Open a held volume for writing; one that is attached, too.

        :raises DriverFailed: it is attached, and its storage cannot be opened a second time
        """
        own = holds.attachments(self._client, volume['id'], holder)
        if own:
            opened = self._connect_reserved(volume, own[0])
        else:
            info = connection.attached_elsewhere(self._client, volume['id'])
            if info is None:
                raise exception.DriverFailed(
                    reason=f'Volume {volume["id"]} is attached and cannot be opened beside that.')
            opened = connection.Connection(info)
        return rbd.RbdTarget(opened.image, opened.close)

    def _connect_reserved(self, volume: dict[str, Any],
                          attachment: dict[str, Any]) -> connection.Connection:
        """Connect the attachment by which the volume is held; Cinder's status stays as it is."""
        try:
            connected = connection.attach_reserved(self._client, self._conf, attachment['id'])
        finally:
            holds.show_as(self._client, volume['id'], volume['status'])
        return connection.Connection(connected['connection_info'])

    def _open_moment(self, volume: dict[str, Any], snapshot: dict[str, Any],
                     holder: str) -> Source:
        """Open a snapshot of a volume that is not held by an attachment."""
        info = None
        if self._options.snapshot_access == 'auto':
            info = connection.attached_elsewhere(self._client, volume['id'])
        if info is not None:
            return self._source(connection.Connection(info), volume, snapshot, holder)
        copy = self._temporaries.volume_of(snapshot, holder)
        attachment = self._temporaries.attachment_of(copy)
        if attachment is None:
            attachment = connection.attach_new(self._client, self._conf, copy['id'])
        opened = connection.Connection(attachment['connection_info'])
        return rbd.RbdSource(
            opened.image,
            close=lambda since: self._put_away(opened, volume, holder, but=None))

    def _source(self, opened: connection.Connection, volume: dict[str, Any],
                snapshot: dict[str, Any], holder: str) -> Source:
        """Return a source that reads a snapshot out of the volume's own image."""
        try:
            image = opened.open(opened.image_name, _name(snapshot['id']))
        except BaseException:
            opened.close()
            raise
        is_kept = views.use_of(snapshot)[0] == views.KEPT

        def close(since: str | None) -> None:
            self._put_away(opened, volume, holder,
                           but={snapshot['id'], since} if is_kept else None)

        return rbd.RbdSource(
            image, token=snapshot['id'] if is_kept else None,
            find_snapshot=self._snapshot_name, close=close)

    def _snapshot_name(self, token: str) -> str | None:
        """Return the name that a snapshot which was kept has at the storage."""
        found = self._client.find(f'/snapshots/{token}')
        return _name(token) if found is not None else None

    def _put_away(self, opened: connection.Connection, volume: dict[str, Any], holder: str, *,
                  but: set[str | None] | None) -> None:
        """Close, and remove what was made to read; what cannot be is left to the release.

        :param but: the kept snapshots that stay; None leaves all
        """
        opened.close()
        with _left_to_others(f'volume {volume["id"]}'):
            self._temporaries.remove(volume['id'], holder)
            if but is not None:
                self._temporaries.remove_kept(volume['id'], but)


@contextlib.contextmanager
def _left_to_others(what: str) -> Iterator[None]:
    """Log why something was not put away, and go on: the bytes are safe by then."""
    try:
        yield
    except (exception.BackupsvcError, Refused) as error:
        LOG.warning('What was made to read %s is not removed yet: %s', what, error)


def _name(snapshot_id: str) -> str:
    """Return what Cinder calls a snapshot at the storage, unless ``snapshot_name_template`` says
    otherwise.
    """
    return f'snapshot-{snapshot_id}'
