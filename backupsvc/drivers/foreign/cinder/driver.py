# SPDX-License-Identifier: Apache-2.0
"""Reads what cinder-backup's chunked drivers for directories and for Swift have written."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from backupsvc import clients, exception
from backupsvc.context import RequestContext
from backupsvc.drivers.foreign.base import FindPlace, ForeignBackup, ForeignBackupDriver, Report
from backupsvc.drivers.foreign.cinder import chain, layout, opts, places, restorer, sums
from backupsvc.engine import errors
from backupsvc.engine.source import Target

_DIRECTORIES = ('posix.PosixBackupDriver', 'nfs.NFSBackupDriver')
_SWIFT = ('swift.SwiftBackupDriver',)


def _names(drivers: Sequence[str]) -> tuple[str, ...]:
    """Return what records call these drivers: the class, or just its module as Cinder once did."""
    return tuple(f'cinder.backup.drivers.{name}' for driver in drivers
                 for name in (driver, driver.partition('.')[0]))


class CinderForeignBackupDriver(ForeignBackupDriver):
    """Backups of cinder-backup. Its own Swift containers and directories are only read."""

    name = 'cinder'
    services = (*_names(_DIRECTORIES), *_names(_SWIFT))

    @classmethod
    def list_opts(cls) -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
        return [(opts.GROUP, [*opts.OPTS, *clients.session_options()])]

    def locate(self, context: RequestContext, service: str, record: Mapping[str, Any],
               find_place: FindPlace) -> ForeignBackup:
        account = record.get('project_id')
        values = {'service': service, 'project_id': account if isinstance(account, str) else None}
        layer = _layer(record)
        with _refusals():
            place = self._place(values)
            layers, metadata = self._follow(place, layer, find_place)
            plan = chain.plan([each.chunks for each in metadata])
        return ForeignBackup(
            size_bytes=plan.size_bytes, volume=metadata[0].volume,
            place={**values, 'layers': [dataclasses.asdict(each) for each in layers]})

    def restore(self, context: RequestContext, place: Mapping[str, Any], target: Target, *,
                workers: int, report: Report, cancelled: Callable[[], bool]) -> int:
        opened = self._place(place)
        layers = [layout.Layer(**each) for each in place['layers']]
        plan = chain.plan([_metadata(opened, layer).chunks for layer in layers])
        name = layers[0].sums_name
        with _open(opened, layers[0], name) as reader, \
                contextlib.closing(sums.Sums(reader, name)) as known:
            return restorer.Restorer(
                opened, plan, known, name, target, report, cancelled).run(workers)

    def _follow(self, place: places.Place, layer: layout.Layer, find_place: FindPlace
                ) -> tuple[list[layout.Layer], list[layout.Metadata]]:
        """Return a backup and those that it builds on, the full one last."""
        layers = [layer]
        metadata = [_complete(place, layer)]
        while (parent_id := metadata[-1].parent_id) is not None:
            parent = _known(find_place(parent_id), parent_id) or place.find(parent_id, layers[-1])
            if parent is None:
                raise exception.InvalidBackup(
                    reason=f'It builds on backup {parent_id}, which is not beside it. Import the '
                           'record of that backup first.')
            if parent in layers:
                raise exception.InvalidBackup(reason=f'It builds on itself, by way of {parent_id}')
            layers.append(parent)
            metadata.append(_complete(place, parent))
        return layers, metadata

    def _place(self, values: Mapping[str, Any]) -> places.Place:
        group = self.conf[opts.GROUP]
        is_directory = values['service'] in _names(_DIRECTORIES)
        option = 'posix_path' if is_directory else 'auth_type'
        if not group[option] and (is_directory or not group.auth_section):
            raise exception.InvalidBackup(
                reason=f'[{opts.GROUP}] {option} is not set: where the backups of '
                       f'{values["service"]} are is not known.')
        if is_directory:
            return places.Directories(group.posix_path)
        account = None
        if group.swift_account == 'project':
            if not values['project_id']:
                raise exception.InvalidBackup(reason='The record names no project.')
            account = group.reseller_prefix + values['project_id']
        return places.SwiftAccount(
            clients.service_session(self.conf, opts.GROUP), interface=group.interface,
            region_name=group.region_name, account_name=account)


def _layer(record: Mapping[str, Any]) -> layout.Layer:
    container, prefix = record.get('container'), record.get('service_metadata')
    if not (isinstance(container, str) and container and isinstance(prefix, str) and prefix):
        raise exception.InvalidBackup(
            reason='The record does not say where the backup is stored.')
    # The id of the record may be another: who imports it can choose one.
    own_id = prefix.rpartition('_backup_')[2] or str(record['id'])
    return layout.Layer(own_id, container, prefix)


def _known(place: Mapping[str, Any] | None, backup_id: str) -> layout.Layer | None:
    layer = place and layout.Layer(**place['layers'][0])
    return layer if layer and layer.backup_id == backup_id else None


@contextlib.contextmanager
def _open(place: places.Place, layer: layout.Layer, name: str) -> Iterator[places.OpenObject]:
    try:
        reader = place.open(layer.container, name)
    except errors.ObjectNotFound as error:
        raise errors.Corrupt(f'object {name} is missing in {layer.container}', name) from error
    with contextlib.closing(reader):
        yield reader


def _metadata(place: places.Place, layer: layout.Layer) -> layout.Metadata:
    with _open(place, layer, layer.metadata_name) as reader:
        return layout.read_metadata(reader, layer)


def _complete(place: places.Place, layer: layout.Layer) -> layout.Metadata:
    """Return the metadata of a backup of which no object is missing.

    :raises Corrupt: one is, with its name
    """
    metadata = _metadata(place, layer)
    present = place.list(layer.container, layer.prefix)
    for name in (*(chunk.name for chunk in metadata.chunks), layer.sums_name):
        if name not in present:
            raise errors.Corrupt(f'object {name} is missing in {layer.container}', name)
    return metadata


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn errors of a store that no other attempt cures into those of the port."""
    try:
        yield
    except errors.Corrupt as error:
        raise exception.InvalidBackup(reason=f'{error}.') from error
    except errors.StoreTransient:
        raise
    except errors.StoreError as error:
        raise exception.DriverFailed(reason=str(error)) from error
