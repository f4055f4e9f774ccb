# SPDX-License-Identifier: Apache-2.0
"""Use cases of quotas: what a project may have, and has, of backups and of volumes served here."""

import dataclasses
from collections.abc import Mapping

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.objects import quota
from backupsvc.orchestration import volumes
from backupsvc.policies import quotas as policies

#: The resources that are counted whoever serves the volumes.
BACKUP_RESOURCES = ('backups', 'backup_gigabytes')

#: Those of the database instances, which the volume service's clients do not know.
DATABASE_RESOURCES = ('database_instances', 'database_gigabytes')


@dataclasses.dataclass(frozen=True)
class Usage:
    """How much of one resource a project may have, and has."""

    limit: int
    in_use: int


def resources() -> tuple[str, ...]:
    """Return what has quotas here: volumes, in all and by type, only where they are served here.
    """
    if not loader.volume_driver().serves_volumes:
        return BACKUP_RESOURCES
    typed = (f'{prefix}{volume_type.name}' for volume_type in volumes.local().list_types()
             for prefix in quota.TYPED)
    return (*(name for name in quota.RESOURCES if name not in DATABASE_RESOURCES), *typed)


def _named(allowed: Mapping[str, int]) -> dict[str, int]:
    return {name: allowed.get(name, quota.UNLIMITED) for name in resources()}


def limits(context: RequestContext) -> dict[str, Usage]:
    """Return limit and usage of the caller's project."""
    context.authorize(policies.LIMITS)
    return _usage(context, volumes.own_project(context))


def show(context: RequestContext, project_id: str) -> dict[str, Usage]:
    """Return limit and usage of a project."""
    context.authorize(policies.SHOW, {'project_id': project_id})
    return _usage(context, project_id)


def _usage(context: RequestContext, project_id: str) -> dict[str, Usage]:
    allowed = quota.limits_for(context, project_id)
    used = dict(quota.usages(context, project_id))
    if loader.volume_driver().serves_volumes:
        used.update(volumes.local().usage(project_id))
    return {name: Usage(limit, used.get(name, 0)) for name, limit in _named(allowed).items()}


def show_defaults(context: RequestContext, project_id: str) -> dict[str, int]:
    """Return the limits of a project for which none were set."""
    context.authorize(policies.SHOW, {'project_id': project_id})
    return _named(quota.defaults(context))


def update(context: RequestContext, project_id: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Set limits of a project; the others stay. Return all of them.

    :raises InvalidInput: there is no such resource, or the number can be no limit
    """
    context.authorize(policies.UPDATE, {'project_id': project_id})
    _check(wanted)
    quota.set_limits(context, project_id, wanted)
    return _named(quota.limits_for(context, project_id))


def delete(context: RequestContext, project_id: str) -> None:
    """Put a project back on the defaults."""
    context.authorize(policies.DELETE, {'project_id': project_id})
    quota.delete_limits(context, project_id)


def show_class(context: RequestContext, name: str) -> dict[str, int]:
    """Return the limits of a quota class."""
    context.authorize(policies.CLASS_SHOW)
    return _named(quota.class_limits(context, name))


def update_class(context: RequestContext, name: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Set limits of a quota class; return all of them.

    :raises InvalidInput: there is no such resource, or the number can be no limit
    """
    context.authorize(policies.CLASS_UPDATE)
    _check(wanted)
    quota.set_class_limits(context, name, wanted)
    return _named(quota.class_limits(context, name))


def _check(wanted: Mapping[str, int]) -> None:
    unknown = sorted(set(wanted) - set(resources()))
    if unknown:
        raise exception.InvalidInput(reason=f'Bad key(s) in quota set: {", ".join(unknown)}')
