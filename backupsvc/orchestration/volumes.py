# SPDX-License-Identifier: Apache-2.0
"""Use cases of volumes where the volume driver is the cloud's volume service."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from oslo_config import cfg

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Listing, NewVolume, Snapshot, Volume
from backupsvc.objects import quota
from backupsvc.policies import volumes as policies

if TYPE_CHECKING:
    from backupsvc.drivers.volume.base import LocalVolumes, VolumeDriver

RESET_STATUSES = (
    'creating', 'available', 'deleting', 'error', 'error_deleting', 'attaching', 'detaching',
    'in-use', 'maintenance', 'reserved', 'backing-up', 'restoring-backup', 'error_restoring',
    'error_extending', 'extending')


@dataclasses.dataclass(frozen=True)
class Query:
    """One page of a list.

    :param all_projects: an administrator's wish to see every project; nobody else's is heard
    :param with_count: also count what the filters leave
    """

    filters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sort: Sequence[tuple[str, str]] = (('created_at', 'desc'),)
    limit: int | None = None
    marker: str | None = None
    offset: int = 0
    all_projects: bool = False
    with_count: bool = False

    def visible(self, context: RequestContext) -> Listing:
        """Return the listing of what the caller may see."""
        filters = dict(self.filters)
        if not (context.is_admin and self.all_projects):
            filters['project_id'] = context.project_id
        return Listing(filters, self.sort, self.limit, self.marker, self.offset)


@dataclasses.dataclass(frozen=True)
class Page:
    """Items of a list, and how many there are in all where that was asked for."""

    items: Sequence[Any]
    count: int | None = None


def are_served(conf: cfg.ConfigOpts) -> bool:
    """Tell whether the configured volume driver is the cloud's volume service itself."""
    driver = cast('type[VolumeDriver]', loader.load_class('volume', conf.volume.driver))
    return driver.serves_volumes


def are_elsewhere(conf: cfg.ConfigOpts) -> bool:
    """Tell whether volumes are another service's, to which requests for them are forwarded."""
    return not are_served(conf)


def service_url(context: RequestContext) -> str | None:
    """Return the base of the volume service behind this one, None where there is none."""
    driver = loader.volume_driver()
    return None if driver.serves_volumes else driver.forward_base_url(context)


def local() -> 'LocalVolumes':
    """Return the wider port of the volume driver.

    :raises Unsupported: the volumes are another service's
    """
    driver = loader.volume_driver()
    if not driver.serves_volumes:
        raise exception.Unsupported('Volumes are not served here.')
    return cast('LocalVolumes', driver)


def own_project(context: RequestContext) -> str:
    """Return the caller's project.

    :raises InvalidInput: the token is not of one
    """
    if not context.project_id:
        raise exception.InvalidInput(reason='The token is not of a project.')
    return context.project_id


def create(context: RequestContext, new: NewVolume) -> Volume:
    """Make a volume within the project's quotas, for a use case that has authorised it.

    :raises OverQuota: the project may hold no more; with ``size_gb`` among the details
    :raises Invalid: the volume service refuses the arguments
    """
    driver = loader.volume_driver()
    if driver.serves_volumes:
        limits = quota.limits_for(context, own_project(context))
        new = dataclasses.replace(new, limits=dict(limits))
    try:
        return driver.create_volume(context, new)
    except exception.OverQuota as err:
        err.details['size_gb'] = new.size_gb
        raise


def create_volume(context: RequestContext, new: NewVolume, *, has_size: bool) -> Volume:
    """Make a volume at the wish of a user.

    :param has_size: False takes the size of the snapshot or volume that it is made of
    :raises OverQuota: the project may hold no more
    :raises Invalid: the arguments, or the status of what it is made of, do not allow it
    """
    context.authorize(policies.CREATE)
    if not has_size:
        new = dataclasses.replace(new, size_gb=_origin(context, new).size_gb)
    origin = _origin_volume(context, new)
    if origin is not None:
        # What was bootable stays so, with the properties of its image.
        new = dataclasses.replace(
            new, bootable=origin.bootable, image_metadata=origin.image_metadata)
    return create(context, new)


def _origin(context: RequestContext, new: NewVolume) -> Volume | Snapshot:
    driver = loader.volume_driver()
    if new.snapshot_id is not None:
        return driver.show_snapshot(context, new.snapshot_id)
    if new.source_volid is not None:
        return driver.show_volume(context, new.source_volid)
    raise exception.InvalidInput(reason='Volume size must be an integer and greater than 0')


def _origin_volume(context: RequestContext, new: NewVolume) -> Volume | None:
    driver = loader.volume_driver()
    if new.snapshot_id is not None:
        snapshot = driver.show_snapshot(context, new.snapshot_id)
        return driver.show_volume(context, snapshot.volume_id)
    if new.source_volid is not None:
        return driver.show_volume(context, new.source_volid)
    return None


def list_(context: RequestContext, query: Query) -> Page:
    """Return one page of volumes.

    :raises VolumeNotFound: the marker is not visible
    """
    context.authorize(policies.LIST)
    listing = query.visible(context)
    items = local().list_volumes(context, listing)
    count = local().count_volumes(context, listing.filters) if query.with_count else None
    return Page(items, count)


def get(context: RequestContext, volume_id: str, rule: str = policies.SHOW) -> Volume:
    """Return a volume that the caller may do ``rule`` with.

    :raises VolumeNotFound: it does not exist or is another project's
    """
    volume = loader.volume_driver().show_volume(context, volume_id)
    context.authorize(rule, volume)
    return volume


def update(context: RequestContext, volume_id: str, rule: str = policies.UPDATE,
           **changes: Any) -> Volume:
    """Change name, description, metadata or flags.

    :raises VolumeNotFound: it does not exist or is another project's
    """
    get(context, volume_id, rule)
    return local().update_volume(context, volume_id, **changes)


def delete(context: RequestContext, volume_id: str, *, cascade: bool, force: bool) -> None:
    """Delete a volume.

    :raises InvalidVolume: it may not be deleted now
    """
    get(context, volume_id, policies.FORCE_DELETE if force else policies.DELETE)
    local().remove_volume(context, volume_id, cascade=cascade, force=force)


def extend(context: RequestContext, volume_id: str, new_size_gb: int) -> None:
    """Make a volume larger.

    :raises Invalid: it is not available, or that large already
    :raises OverQuota: the project may hold no more
    """
    volume = get(context, volume_id, policies.EXTEND)
    limits = quota.limits_for(context, volume.project_id)
    local().extend_volume(context, volume_id, new_size_gb, limits=limits)


def reset_status(context: RequestContext, volume_id: str, status: str | None,
                 attach_status: str | None) -> None:
    """Force a status on a volume.

    :raises InvalidInput: neither is given, or the status is none that a volume can have
    """
    get(context, volume_id, policies.RESET_STATUS)
    if status is None and attach_status is None:
        raise exception.InvalidInput(reason="Must specify 'status' or 'attach_status'.")
    if status is not None and status.lower() not in RESET_STATUSES:
        raise exception.InvalidInput(reason=f'Must specify a valid status, not {status!r}.')
    local().reset_volume(
        context, volume_id, status=status and status.lower(),
        attachments=False if attach_status == 'detached' else None)


def change_status(context: RequestContext, volume_id: str, rule: str, *,
                  expected: Sequence[str], status: str) -> None:
    """Move a volume through the steps of attaching and detaching.

    :raises InvalidVolume: its status is not one of ``expected``
    """
    get(context, volume_id, rule)
    local().transition_volume(context, volume_id, expected=expected, status=status)


def attach(context: RequestContext, volume_id: str, *, instance_id: str | None, host: str | None,
           mountpoint: str, mode: str) -> None:
    """Note that a volume is attached; it is in-use from then on.

    :raises InvalidVolume: its status does not allow it
    """
    get(context, volume_id, policies.ATTACH)
    if (instance_id is None) == (host is None):
        raise exception.InvalidVolume(
            reason='Specify either an instance or a host to attach to, and not both.')
    local().attach_volume(context, volume_id, instance_id=instance_id, host=host,
                          mountpoint=mountpoint, mode=mode)


def detach(context: RequestContext, volume_id: str, attachment_id: str | None,
           rule: str = policies.DETACH) -> None:
    """Note that a volume is not attached any more.

    :raises InvalidVolume: its status does not allow it, or an instance that is run here may write
        to it, and has to let go of it first; with rule FORCE_DETACH that does not matter
    """
    volume = get(context, volume_id, rule)
    if rule != policies.FORCE_DETACH:
        _check_let_go(context, volume, attachment_id)
    local().detach_volume(context, volume_id, attachment_id=attachment_id)


def _check_let_go(context: RequestContext, volume: Volume, attachment_id: str | None) -> None:
    driver = loader.instance_driver()
    if not driver.serves_instances:
        return
    for attachment in volume.attachments:
        if attachment_id not in (None, attachment['attachment_id']):
            continue
        try:
            instance = driver.show_instance(context.elevated(), attachment['server_id'] or '')
        except exception.InstanceNotFound:
            continue
        if volume.id in {attached.volume_id for attached in instance.volumes}:
            raise exception.InvalidVolume(
                reason=f'Volume {volume.id} is attached to instance {instance.id}; detach it from'
                       ' there.', status=volume.status)


def set_metadata(context: RequestContext, volume_id: str, rule: str, pairs: Mapping[str, str], *,
                 replace: bool, image: bool = False) -> dict[str, str]:
    """Add or replace metadata (of its image, with ``image``); return all of it."""
    get(context, volume_id, rule)
    return local().set_volume_metadata(context, volume_id, pairs, replace=replace, image=image)


def delete_metadata(context: RequestContext, volume_id: str, rule: str, key: str, *,
                    image: bool = False) -> None:
    """Remove one pair.

    :raises VolumeMetadataNotFound: there is none of that key
    """
    get(context, volume_id, rule)
    local().delete_volume_metadata(context, volume_id, key, image=image)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What there is in all.

    :param metadata: key → the values that volumes have under it
    """

    count: int
    size_gb: int
    metadata: Mapping[str, Sequence[str]]


def summarise(context: RequestContext, *, all_projects: bool) -> Summary:
    """Add up the volumes that the caller sees."""
    items = list_(context, Query(all_projects=all_projects)).items
    metadata: dict[str, set[str]] = {}
    for volume in items:
        for key, value in volume.metadata.items():
            metadata.setdefault(key, set()).add(value)
    return Summary(
        len(items), sum(volume.size_gb for volume in items),
        {key: sorted(values) for key, values in sorted(metadata.items())})
