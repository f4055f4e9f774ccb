# SPDX-License-Identifier: Apache-2.0
"""Quotas: what a project may have, and what it has.

A limit is, by falling precedence: set for the project, set for its quota class, set for the class
``default``, configured in ``[quota]``. Usage of backups changes with the records themselves.
"""

from collections.abc import Mapping
from typing import Any

from backupsvc import conf, exception
from backupsvc.conf import quota as options
from backupsvc.db import quotas as db

UNLIMITED = db.UNLIMITED
DEFAULT_CLASS = 'default'

#: Every resource that has a limit.
RESOURCES = tuple(option.dest for option in options.OPTS)

#: What can also have a limit for each volume type, ``volumes_<type>``; unlimited unless set.
TYPED = ('volumes_', 'snapshots_', 'gigabytes_')


def defaults(context: Any) -> dict[str, int]:
    """Return resource → limit of a project for which nothing was set."""
    configured = {name: conf.current().quota[name] for name in RESOURCES}
    return {**configured, **db.class_limits(context, DEFAULT_CLASS)}


def class_limits(context: Any, class_name: str) -> dict[str, int]:
    """Return resource → limit of a project in a quota class."""
    limits = defaults(context)
    if class_name != DEFAULT_CLASS:
        limits.update(db.class_limits(context, class_name))
    return limits


def limits_for(
    context: Any, project_id: str, class_name: str | None = None,
) -> dict[str, int]:
    """Return resource → limit of a project, -1 where there is none; every resource is named."""
    limits = class_limits(context, class_name or DEFAULT_CLASS)
    limits.update(db.project_limits(context, project_id))
    return limits


def _check(limits: Mapping[str, int]) -> None:
    for resource, limit in limits.items():
        if resource not in RESOURCES and not resource.startswith(TYPED):
            raise exception.InvalidInput(reason=f'Unknown quota resources {resource}.')
        if not UNLIMITED <= limit < 2**31:
            raise exception.InvalidInput(
                reason=f'Quota limit {limit} of {resource} must be -1 or more, below 2^31.')


def set_limits(context: Any, project_id: str, limits: Mapping[str, int]) -> None:
    """Set some limits of a project; the others stay. A limit may be less than what is in use.

    :raises InvalidInput: unknown resource, or a number that cannot be a limit
    """
    _check(limits)
    db.set_project_limits(context, project_id, limits)


def delete_limits(context: Any, project_id: str) -> None:
    """Forget what was set for a project."""
    db.delete_project_limits(context, project_id)


def set_class_limits(context: Any, class_name: str, limits: Mapping[str, int]) -> None:
    """Set some limits of a quota class; the others stay.

    :raises InvalidInput: as ``set_limits``
    """
    _check(limits)
    db.set_class_limits(context, class_name, limits)


def usages(context: Any, project_id: str) -> dict[str, int]:
    """Return resource → amount in use, of the resources that this database counts."""
    return {'backups': 0, 'backup_gigabytes': 0, **db.usages(context, project_id)}


def audit(context: Any) -> dict[str, dict[str, tuple[int, int]]]:
    """Return project → resource → (recorded, counted), where the two differ."""
    return db.audit(context)


def recount(context: Any) -> dict[str, dict[str, tuple[int, int]]]:
    """Set usage to what the records add up to, and return what ``audit`` returned before."""
    return db.recount(context)
