# SPDX-License-Identifier: Apache-2.0
"""Instance driver ``nova``: the servers of an OpenStack cloud.

Nova cannot make a server stand still without a change of its status, so of one that is ACTIVE each
volume is taken as of its own moment, and the set says so. One that is SHUTOFF, PAUSED or SUSPENDED
writes nothing. Meanwhile it is locked, with the holders named in the reason of the lock: only an
administrator can then start, stop or change it, and whoever takes a task over finds it there.
"""

import datetime
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils, uuidutils

from backupsvc import clients, exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import AttachedVolume, Hold, Instance, Listing
from backupsvc.drivers.instance.base import InstanceDriver
from backupsvc.drivers.instance.nova import client, opts

LOG = logging.getLogger(__name__)

#: Statuses in which nothing of a server runs.
_STILL = ('SHUTOFF', 'PAUSED', 'SUSPENDED')

_REASON = 'backupsvc takes snapshots for'
_HOLDERS = re.compile(rf'{_REASON} (\S+(?: \S+)*)')

#: What Nova keeps of a reason.
_REASON_LENGTH = 255


class NovaInstanceDriver(InstanceDriver):
    """Servers of Nova and the Cinder volumes that are attached to them."""

    name = 'nova'

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf)
        self._lock = threading.Lock()
        self._made: client.NovaClient | None = None

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, [*opts.OPTS, *clients.session_options()])]

    def check_setup(self) -> None:
        """Ask Nova for something that only an administrator sees.

        :raises DriverFailed: it does not answer, or the service user may not
        """
        try:
            self._nova.get('/servers', all_tenants=1, limit=1)
        except clients.Refused as refused:
            raise exception.DriverFailed(
                reason=f'[{opts.GROUP}] Nova does not take the service user for an '
                       f'administrator: {refused.message}') from refused

    def show_instance(self, context: RequestContext, instance_id: str) -> Instance:
        return self._to_instance(self._server(context, instance_id))

    def list_instances(self, context: RequestContext, listing: Listing) -> list[Instance]:
        if listing.marker is not None:
            self._server(context, listing.marker)
        found = sorted((server for server in self._nova.servers(**self._query(context, listing))
                        if _matches(server, listing)), key=lambda server: server['id'])
        for field, direction in reversed(listing.sort):
            found.sort(key=lambda server: _value(server, field),
                       reverse=direction == 'desc')
        ids = [server['id'] for server in found]
        first = ids.index(listing.marker) + 1 if listing.marker in ids else 0
        first += listing.offset
        end = None if listing.limit is None else first + listing.limit
        return [self._to_instance(server) for server in found[first:end]]

    def quiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> bool:
        server = self._server(context, instance_id)
        if self.conf[opts.GROUP].lock_servers:
            self._add_holder(server, holder)
            server = self._server(context, instance_id)
        return server['status'] in _STILL and server['OS-EXT-STS:task_state'] is None

    def unquiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> None:
        try:
            server = self._server(context, instance_id)
        except exception.InstanceNotFound:
            return
        holders = _holders(server)
        if holder in holders:
            self._set_holders(server['id'], [each for each in holders if each != holder])

    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        for server in self._nova.servers(locked='true'):
            for holder in _holders(server):
                yield Hold(holder=holder, resource_id=server['id'], is_snapshot=False,
                           status=server['status'], since=_moment(server['updated']))

    @property
    def _nova(self) -> client.NovaClient:
        with self._lock:
            if self._made is None:
                group = self.conf[opts.GROUP]
                self._made = client.NovaClient(
                    clients.service_session(self.conf, opts.GROUP), group.endpoint,
                    {'interface': group.interface, 'region_name': group.region_name},
                    group.request_timeout)
            return self._made

    def _server(self, context: RequestContext, server_id: str) -> dict[str, Any]:
        """Return a server as Nova shows it.

        :raises InstanceNotFound: it is not there, or another project's
        """
        if uuidutils.is_uuid_like(server_id):
            try:
                server = self._nova.get(f'/servers/{server_id}')['server']
            except clients.Refused as refused:
                if refused.status != 404:
                    raise exception.DriverFailed(
                        reason=f'Nova does not show server {server_id}: {refused.message}'
                    ) from refused
            else:
                if context.is_admin or server['tenant_id'] == context.project_id:
                    return server
        raise exception.InstanceNotFound(instance_id=server_id)

    def _query(self, context: RequestContext, listing: Listing) -> dict[str, Any]:
        query: dict[str, Any] = {'deleted': 'false'}
        if not context.is_admin:
            query['project_id'] = context.project_id
        elif isinstance(listing.filters.get('project_id'), str):
            query['project_id'] = listing.filters['project_id']
        return query

    def _to_instance(self, server: dict[str, Any]) -> Instance:
        return Instance(
            id=server['id'], project_id=server['tenant_id'], user_id=server['user_id'],
            name=server['name'], status=server['status'], created_at=_moment(server['created']),
            updated_at=_moment(server['updated']), task_state=server['OS-EXT-STS:task_state'],
            fault=(server.get('fault') or {}).get('message'),
            host=server.get('OS-EXT-SRV-ATTR:host'),
            availability_zone=server.get('OS-EXT-AZ:availability_zone') or None,
            volumes=self._volumes(server))

    def _volumes(self, server: dict[str, Any]) -> tuple[AttachedVolume, ...]:
        if not server['os-extended-volumes:volumes_attached']:
            return ()
        try:
            found = self._nova.get(
                f'/servers/{server["id"]}/os-volume_attachments')['volumeAttachments']
        except clients.Refused as refused:
            if refused.status == 404:  # it went between the two questions
                raise exception.InstanceNotFound(instance_id=server['id']) from refused
            raise exception.DriverFailed(
                reason=f'Nova does not show the volumes of server {server["id"]}: '
                       f'{refused.message}') from refused
        # A server that was started from an image has that on a disk which is no volume.
        root: str | None = None
        if not server.get('image'):
            root = server.get('OS-EXT-SRV-ATTR:root_device_name')
        return tuple(sorted(
            (AttachedVolume(each['volumeId'], each['device'] or '',
                            is_boot=root is not None and each['device'] == root)
             for each in found),
            key=lambda volume: (volume.device == '', len(volume.device), volume.device)))

    def _add_holder(self, server: dict[str, Any], holder: str) -> None:
        """Lock a server for one more holder, unless somebody else has locked it.

        :raises DriverFailed: Nova does not lock it
        """
        holders = _holders(server)
        if holder in holders:
            return
        if server['locked'] and not holders:
            LOG.info('Server %s is locked already: %s', server['id'], server['locked_reason'])
            return
        self._set_holders(server['id'], [*holders, holder])

    def _set_holders(self, server_id: str, holders: list[str]) -> None:
        reason = ' '.join([_REASON, *holders])
        try:
            if not holders:
                self._nova.act(server_id, 'unlock')
            elif len(reason) > _REASON_LENGTH:
                raise exception.DriverFailed(
                    reason=f'Server {server_id} is being backed up by others.')
            else:
                self._nova.act(server_id, 'lock', {'locked_reason': reason})
        except clients.Refused as refused:
            if refused.status == 404:
                return
            raise exception.DriverFailed(
                reason=f'Nova does not lock server {server_id}: {refused.message}') from refused


def _holders(server: dict[str, Any]) -> list[str]:
    found = _HOLDERS.fullmatch(server.get('locked_reason') or '')
    return found[1].split(' ') if found and server['locked'] else []


#: Fields of an instance, and what Nova calls them.
_FIELDS = {'id': 'id', 'name': 'name', 'status': 'status', 'project_id': 'tenant_id',
           'created_at': 'created'}


def _value(server: dict[str, Any], field: str) -> str:
    return server[_FIELDS[field]] or '' if field in _FIELDS else ''


def _matches(server: dict[str, Any], listing: Listing) -> bool:
    """Tell whether a server is one of those that the list wants: Nova's own filters match parts.
    """
    for field, wanted in listing.filters.items():
        value = _value(server, field.rstrip('~'))
        if field.endswith('~'):
            is_match = wanted in value
        else:
            is_match = value in ([wanted] if isinstance(wanted, str) else wanted)
        if not is_match:
            return False
    return True


def _moment(text: str) -> datetime.datetime:
    return timeutils.parse_isotime(text).astimezone(datetime.UTC)
