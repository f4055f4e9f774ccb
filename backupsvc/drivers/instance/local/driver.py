# SPDX-License-Identifier: Apache-2.0
"""Instance driver ``local``: an instance is a process of this host that writes records to its
volumes, from which one can tell afterwards whether copies of them are of one point in time.
"""

import contextlib
import datetime
import functools
import json
import pathlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from oslo_utils import uuidutils

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers.base import AttachedVolume, Hold, Instance, Listing
from backupsvc.drivers.instance.base import InstanceDriver, LocalInstances, RecordsCheck
from backupsvc.drivers.instance.local import checks, opts, place, processes, records, writer

ACTIVE = 'ACTIVE'
SHUTOFF = 'SHUTOFF'
PAUSED = 'PAUSED'
SUSPENDED = 'SUSPENDED'
ERROR = 'ERROR'

_KEYS = ('id', 'name', 'status', 'project_id', 'created_at')

#: A directory that is being made or removed is left alone for so long.
_LEFTOVER_AGE_S = 60.0


class LocalInstanceDriver(LocalInstances, InstanceDriver):
    """Instances of this host, shared by its processes through their directories.

    A status is never written down: it is what the process of the instance does, or how it ended.
    """

    name = 'local'
    is_host_local = True
    serves_instances = True

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf)
        self._options = conf.instance_local
        self._place = place.Place(self._options.directory)

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, opts.OPTS)]

    def check_setup(self) -> None:
        """Make the directory, and remove what processes killed while making or removing an
        instance left.

        :raises DriverFailed: the directory cannot be used
        """
        try:
            self._place.prepare(_LEFTOVER_AGE_S)
        except OSError as error:
            raise exception.DriverFailed(
                reason=f'[instance_local] directory cannot be used: {error}') from error

    # -- what there is

    def show_instance(self, context: RequestContext, instance_id: str) -> Instance:
        return self._settled(self._visible(context, instance_id))

    def list_instances(self, context: RequestContext, listing: Listing) -> list[Instance]:
        filters = dict(listing.filters)
        if not context.is_admin:
            filters['project_id'] = context.project_id
        found = []
        for document in self._place.read_all():
            with contextlib.suppress(exception.InstanceNotFound):
                instance = self._settled(document)
                if all(_matches(instance, key, value) for key, value in filters.items()):
                    found.append(instance)
        found.sort(key=lambda instance: instance.id)
        for key, direction in reversed(listing.sort):
            if key in _KEYS:
                found.sort(key=functools.partial(_sort_value, key),
                           reverse=direction.lower() == 'desc')
        start = listing.offset
        if listing.marker is not None:
            self.show_instance(context, listing.marker)
            ids = [instance.id for instance in found]
            start += ids.index(listing.marker) + 1 if listing.marker in ids else len(ids)
        return found[start:None if listing.limit is None else start + listing.limit]

    def _visible(self, context: RequestContext, instance_id: str) -> place.Document:
        document = self._place.read(instance_id)
        if not context.is_admin and document.project_id != context.project_id:
            raise exception.InstanceNotFound(instance_id=instance_id)
        return document

    def _settled(self, document: place.Document) -> Instance:
        """Return an instance whose document did not change while its process was looked at."""
        while True:
            status, fault = self._status(document)
            again = self._place.read(document.id)
            if again == document:
                return _to_instance(document, status, fault)
            document = again

    def _status(self, document: place.Document) -> tuple[str, str | None]:
        directory = self._place.path(document.id)
        is_still = processes.is_still(directory)
        if is_still is None:
            told = _told(directory)
            if told.get('state') == writer.SUSPENDED:
                return SUSPENDED, None
            if told.get('state') == writer.FAILED:
                return ERROR, told['fault']
            return SHUTOFF, None
        if is_still and (document.is_paused or not document.holders):
            return PAUSED, None
        return ACTIVE, None

    # -- standstill

    def quiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> bool:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            # The holder first: a standstill that belongs to nobody would last for ever.
            document.holders.setdefault(holder, place.now())
            self._place.save(document)
            try:
                processes.freeze(self._place.path(instance_id), self._options.timeout)
            except exception.DriverFailed:
                del document.holders[holder]
                self._place.save(document)
                raise
        return True

    def unquiesce(self, context: RequestContext, instance_id: str, *, holder: str) -> None:
        try:
            self._visible(context, instance_id)
            with self._place.changing(instance_id) as document:
                if holder not in document.holders:
                    return
                if list(document.holders) == [holder] and not document.is_paused:
                    processes.thaw(self._place.path(instance_id))
                del document.holders[holder]
        except exception.InstanceNotFound:
            return

    def list_holds(self, context: RequestContext) -> Iterator[Hold]:
        for document in self._place.read_all():
            for holder, since in document.holders.items():
                yield Hold(holder=holder, resource_id=document.id, is_snapshot=False,
                           status=self._status(document)[0],
                           since=datetime.datetime.fromisoformat(since))

    # -- making and changing

    def create_instance(self, context: RequestContext, *, name: str | None) -> Instance:
        if context.project_id is None:
            raise exception.InvalidInput(reason='An instance belongs to a project.')
        document = place.Document(
            id=uuidutils.generate_uuid(), project_id=context.project_id,
            user_id=context.user_id, name=name, host=self.conf.host, created_at=place.now())
        self.check_setup()
        self._place.add(document)
        return self.show_instance(context, document.id)

    def delete_instance(self, context: RequestContext, instance_id: str) -> None:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_free(document)
            if document.volumes:
                raise exception.InvalidInstance(
                    reason=f'Instance {instance_id} has volumes attached.')
            processes.kill(self._place.path(instance_id), self._options.timeout)
            self._place.remove(instance_id)

    def attach_volume(self, context: RequestContext, instance_id: str, volume_id: str, *,
                      device: str, is_boot: bool = False) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_off(document)
            for volume in document.volumes:
                if volume['volume_id'] == volume_id:
                    raise exception.InvalidInstance(
                        reason=f'Volume {volume_id} is attached to instance {instance_id}'
                               ' already.')
                if volume['device'] == device:
                    raise exception.InvalidInstance(
                        reason=f'Instance {instance_id} has a volume at {device} already.')
                if is_boot and volume['is_boot']:
                    raise exception.InvalidInstance(
                        reason=f'Instance {instance_id} boots from volume'
                               f' {volume["volume_id"]} already.')
            document.volumes.append(
                {'volume_id': volume_id, 'device': device, 'is_boot': is_boot})
        return self.show_instance(context, instance_id)

    def detach_volume(self, context: RequestContext, instance_id: str,
                      volume_id: str) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_off(document)
            document.volumes = [volume for volume in document.volumes
                                if volume['volume_id'] != volume_id]
        return self.show_instance(context, instance_id)

    # -- running

    def start_instance(self, context: RequestContext, instance_id: str,
                       find_path: Callable[[str], str], *, new_log: bool = False) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_free(document)
            if self._status(document)[0] != ACTIVE:
                self._check_off(document)
                self._start(document, find_path, new_log=new_log)
        return self.show_instance(context, instance_id)

    def stop_instance(self, context: RequestContext, instance_id: str, *,
                      force: bool = False) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            directory = self._place.path(instance_id)
            if force:
                processes.kill(directory, self._options.timeout)
            else:
                self._check_free(document)
                processes.end(directory, signal.SIGTERM, self._options.timeout)
            (directory / writer.STATE).unlink(missing_ok=True)
            document.is_paused = False
        return self.show_instance(context, instance_id)

    def pause_instance(self, context: RequestContext, instance_id: str) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_free(document)
            self._check_status(document, (ACTIVE,))
            document.is_paused = processes.freeze(
                self._place.path(instance_id), self._options.timeout)
        return self.show_instance(context, instance_id)

    def suspend_instance(self, context: RequestContext, instance_id: str) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_free(document)
            self._check_status(document, (ACTIVE, PAUSED))
            processes.end(self._place.path(instance_id), signal.SIGUSR1, self._options.timeout)
            document.is_paused = False
            self._check_status(document, (SUSPENDED,))
        return self.show_instance(context, instance_id)

    def resume_instance(self, context: RequestContext, instance_id: str,
                        find_path: Callable[[str], str]) -> Instance:
        self._visible(context, instance_id)
        with self._place.changing(instance_id) as document:
            self._check_free(document)
            self._check_status(document, (PAUSED, SUSPENDED))
            directory = self._place.path(instance_id)
            if self._status(document)[0] == SUSPENDED:
                self._start(document, find_path, expected=_told(directory)['next'])
            else:
                document.is_paused = False
                self._place.save(document)
                processes.thaw(directory)
        return self.show_instance(context, instance_id)

    def _start(self, document: place.Document, find_path: Callable[[str], str], *,
               new_log: bool = False, expected: Sequence[int] | None = None) -> None:
        if not document.volumes:
            raise exception.InvalidInstance(
                reason=f'Instance {document.id} has no volumes to run on.')
        document.is_paused = False
        self._place.save(document)
        wanted = {
            'interval_s': self._options.write_interval,
            'slots': self._options.log_size_kb * 1024 // records.RECORD_BYTES,
            'new_log': new_log,
            'expected': expected,
            'volumes': [
                {'id': volume['volume_id'], 'path': find_path(volume['volume_id'])}
                for volume in sorted(document.volumes, key=lambda volume: volume['device'])],
        }
        try:
            processes.start(self._place.path(document.id), wanted, self._options.timeout)
        except processes.NotStarted as error:
            raise exception.InvalidInstance(
                reason=f'Instance {document.id} cannot be started: {error}.') from error

    def _check_free(self, document: place.Document) -> None:
        if document.holders:
            raise exception.InvalidInstance(
                reason=f'Instance {document.id} is quiesced for'
                       f' {", ".join(document.holders)}.')

    def _check_off(self, document: place.Document) -> None:
        self._check_free(document)
        self._check_status(document, (SHUTOFF, ERROR))

    def _check_status(self, document: place.Document, expected: Sequence[str]) -> None:
        status, fault = self._status(document)
        if status not in expected:
            raise exception.InvalidInstance(
                reason=f'Instance {document.id} must be {" or ".join(expected)}, but is {status}'
                       + (f': {fault}' if fault else '.'), status=status)

    # -- what the volumes hold

    def check_volumes(self, paths: Mapping[str, str], *,
                      not_after: datetime.datetime | None = None) -> RecordsCheck:
        return checks.check(paths, not_after)


def _told(directory: pathlib.Path) -> dict[str, Any]:
    """Return what the last writer of a directory said of its end."""
    try:
        return json.loads((directory / writer.STATE).read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}


def _to_instance(document: place.Document, status: str, fault: str | None) -> Instance:
    volumes = [AttachedVolume(**volume) for volume in document.volumes]
    return Instance(
        id=document.id, project_id=document.project_id, user_id=document.user_id,
        name=document.name, status=status, fault=fault, host=document.host,
        created_at=datetime.datetime.fromisoformat(document.created_at),
        updated_at=(datetime.datetime.fromisoformat(document.updated_at)
                    if document.updated_at else None),
        volumes=tuple(sorted(volumes, key=lambda volume: volume.device)))


def _matches(instance: Instance, key: str, wanted: Any) -> bool:
    """Tell whether a filter of a listing leaves an instance."""
    name = key.removesuffix('~')
    if name not in _KEYS:
        return False
    value = getattr(instance, name)
    if key.endswith('~'):
        return wanted.lower() in (value or '').lower()
    return value in ([wanted] if isinstance(wanted, str) else list(wanted))


def _sort_value(key: str, instance: Instance) -> Any:
    value = getattr(instance, key)
    return '' if value is None else value
