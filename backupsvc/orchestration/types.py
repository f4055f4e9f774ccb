# SPDX-License-Identifier: Apache-2.0
"""Use cases of volume types and availability zones, as the volume driver has them."""

from collections.abc import Mapping
from typing import Any

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import VolumeType
from backupsvc.orchestration import volumes
from backupsvc.policies import services as policies

DEFAULT = 'default'


def ids() -> dict[str, str]:
    """Return name → id of the types, for views of volumes; empty where they are not ours."""
    if not loader.volume_driver().serves_volumes:
        return {}
    return {volume_type.name: volume_type.id for volume_type in _all()}


def _all() -> list[VolumeType]:
    return volumes.local().list_types()


def list_(context: RequestContext) -> list[VolumeType]:
    """Return the volume types; those that are not public to administrators only."""
    context.authorize(policies.TYPES)
    return _visible(context)


def _visible(context: RequestContext) -> list[VolumeType]:
    return [found for found in _all() if found.is_public or context.is_admin]


def get(context: RequestContext, type_id: str) -> VolumeType:
    """Return a type by id, or the one that is used where none is named (``DEFAULT``).

    :raises VolumeTypeNotFound: there is none
    """
    context.authorize(policies.TYPE)
    for found in _visible(context):
        if type_id == found.id or (type_id == DEFAULT and found.is_default):
            return found
    raise exception.VolumeTypeNotFound(volume_type=type_id)


def create(context: RequestContext, name: str, *, description: str | None, is_public: bool,
           extra_specs: Mapping[str, str]) -> VolumeType:
    """Add a volume type.

    :raises VolumeTypeExists: there is one of that name
    """
    context.authorize(policies.TYPE_CREATE)
    return volumes.local().create_type(
        name, description=description, is_public=is_public, extra_specs=extra_specs)


def update(context: RequestContext, type_id: str, **changes: Any) -> VolumeType:
    """Change description, visibility or extra specs.

    :raises VolumeTypeNotFound: there is none that can be changed
    """
    context.authorize(policies.TYPE_UPDATE)
    return volumes.local().update_type(type_id, **changes)


def delete(context: RequestContext, type_id: str) -> None:
    """Remove a volume type.

    :raises VolumeTypeNotFound: there is none that can be removed
    :raises VolumeTypeInUse: volumes are of that type
    """
    context.authorize(policies.TYPE_DELETE)
    volumes.local().delete_type(type_id)


def list_zones(context: RequestContext) -> list[str]:
    """Return the names of the availability zones."""
    context.authorize(policies.ZONES)
    return volumes.local().list_zones()
