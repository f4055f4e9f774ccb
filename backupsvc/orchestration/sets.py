# SPDX-License-Identifier: Apache-2.0
"""What instance backups and instance snapshots have in common: which instances and volumes they
may be made of, the holds of those, and lists.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oslo_utils import uuidutils

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Instance, Volume
from backupsvc.objects.sets import SetObject
from backupsvc.objects.task import Task
from backupsvc.orchestration import trusts

#: Statuses of instances of which sets are made.
ACCEPTED = ('ACTIVE', 'SHUTOFF', 'SUSPENDED', 'PAUSED')

#: Status of a volume while it is held for its snapshot.
VOLUME_STATUS = 'backing-up'

#: What a set of an instance is called in its record.
INSTANCE = 'instance'

#: Attributes that lists can be sorted by.
ATTRIBUTES = frozenset({
    'id', 'project_id', 'user_id', 'instance_id', 'name', 'description', 'status', 'size_gb',
    'created_at', 'updated_at', 'data_timestamp'})


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetQuery:
    """Which sets a list shows; the fields are those of ``backups.BackupQuery``."""

    limit: int
    filters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sort: Sequence[tuple[str, str]] = (('created_at', 'desc'), ('id', 'desc'))
    marker: str | None = None
    offset: int = 0
    all_projects: bool = False
    with_count: bool = False


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of a list.

    :ivar count: all sets that match; None unless asked for
    """

    items: Sequence[Any]
    count: int | None


def find(context: RequestContext, rule: str, instance_id: str) -> tuple[Instance, list[Volume]]:
    """Return an instance that ``rule`` lets the caller make a set of, and its volumes in the order
    of their devices.

    :raises InstanceNotFound: there is none, for this caller
    :raises InvalidInstance: its status does not allow it, or it has no volumes
    :raises InvalidVolume: the status of one of its volumes does not allow it
    """
    instance = loader.instance_driver().show_instance(context, instance_id)
    context.authorize(rule, instance)
    check(instance)
    driver = loader.volume_driver()
    volumes = [driver.show_volume(context, each.volume_id) for each in instance.volumes]
    for volume in volumes:
        if volume.status not in ('available', 'in-use'):
            raise exception.InvalidVolume(
                reason=f'Volume {volume.id} of the instance must be in-use, but its current '
                       f'status is "{volume.status}".')
    return instance, volumes


def check(instance: Instance) -> None:
    """Refuse an instance that no set can be made of now.

    :raises InvalidInstance: its status does not allow it, or it has no volumes
    """
    if instance.status not in ACCEPTED:
        raise exception.InvalidInstance(
            reason=f'Instance {instance.id} must be {", ".join(ACCEPTED[:-1])} or {ACCEPTED[-1]}, '
                   f'but its current status is {instance.status}.', status=instance.status)
    if not instance.volumes:
        raise exception.InvalidInstance(
            reason=f'Instance {instance.id} has no volumes.', status=instance.status)


def host_of(instances: Iterable[Instance], volumes: Iterable[Volume]) -> str | None:
    """Return the only host that reaches all of them; None if any does.

    :raises InvalidInstance: they are on several
    """
    hosts: set[str | None] = set()
    if loader.instance_driver().is_host_local:
        hosts.update(instance.host for instance in instances)
    if loader.volume_driver().is_host_local:
        hosts.update(volume.host for volume in volumes)
    hosts.discard(None)
    if len(hosts) > 1:
        raise exception.InvalidInstance(
            reason='The volumes of the instance are on several hosts: '
                   f'{", ".join(sorted(filter(None, hosts)))}.')
    return hosts.pop() if hosts else None


def hold(context: RequestContext, volume_ids: Sequence[str], holder: str) -> None:
    """Take the holds of all volumes, or of none.

    :raises InvalidVolume: another has one of them
    """
    driver = loader.volume_driver()
    try:
        for volume_id in volume_ids:
            driver.acquire_volume(context, volume_id, holder=holder, status=VOLUME_STATUS,
                                  expected=('available', 'in-use'))
    except BaseException:
        let_go(context, volume_ids, holder)
        raise


def let_go(context: RequestContext, volume_ids: Sequence[str], holder: str) -> None:
    """Give the holds back that ``holder`` has."""
    driver = loader.volume_driver()
    for volume_id in volume_ids:
        driver.release_volume(context, volume_id, holder=holder)


def new_task(
    context: RequestContext, kind: str, resource_id: str, *, arguments: dict[str, Any],
    host: str | None = None
) -> Task:
    """Return a task of a set or of a volume, not stored yet.

    :param host: the only host that can do it; None if any can
    """
    return Task(
        context,
        id=uuidutils.generate_uuid(),
        kind=kind,
        resource_id=resource_id,
        project_id=context.project_id,
        user_id=context.user_id,
        request_id=context.request_id,
        host_affinity=host,
        arguments=trusts.carried(context, kind, arguments),
    )


def page(
    context: RequestContext, records: type[SetObject], query: SetQuery
) -> tuple[list[Any], int | None]:
    """Return the records of a page, and how many all pages have if that was asked for.

    :raises NotFound: the marker is no set that the caller may see
    :raises InvalidInput: a sort key is no attribute
    """
    if any(key not in ATTRIBUTES for key, _ in query.sort):
        raise exception.InvalidInput(reason='Invalid sort key')
    sort = [(_column(key), direction) for key, direction in query.sort]
    filters = {_column(key): _filter(value) for key, value in query.filters.items()}
    if not (query.all_projects and context.is_admin):
        own = context.project_id
        if filters.setdefault('project_id', own) != own:
            return [], 0 if query.with_count else None
    found = records.get_all(
        context, filters, sort=sort, limit=query.limit, marker_id=query.marker,
        offset=query.offset)
    return found, records.count(context, filters) if query.with_count else None


def _column(name: str) -> str:
    return 'source_id' if name == 'instance_id' else name


def _filter(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC)
    return value
