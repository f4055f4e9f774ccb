# SPDX-License-Identifier: Apache-2.0
"""Use cases of limits on databases: how often a project may ask, and how much it may have."""

import dataclasses
import datetime
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import limits as library
from limits import strategies
from oslo_log import log

from backupsvc import conf, exception
from backupsvc.context import RequestContext
from backupsvc.objects import quota
from backupsvc.policies import databases as policies

LOG = log.getLogger(__name__)

UNIT = 'MINUTE'

#: The methods that are counted, each by itself; HEAD counts as GET and PATCH as PUT.
VERBS = ('POST', 'PUT', 'DELETE', 'GET')
_COUNTED_AS = {'HEAD': 'GET', 'PATCH': 'PUT'}

#: What users of databases call a resource → its name in quotas.
_ABSOLUTE = {
    'instances': 'database_instances', 'volumes': 'database_gigabytes', 'backups': 'backups'}

_lock = threading.Lock()
_counters: dict[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Rate:
    """How many requests of a verb are left, and when all are there again."""

    verb: str
    limit: int
    remaining: int
    unit: str
    available_at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a project may have of each resource, and how often it may ask."""

    absolute: Mapping[str, int]
    rates: Sequence[Rate]


def _counter() -> Any:
    """Return what counts, made once for each storage."""
    url = conf.current().rates.storage_url
    with _lock:
        if url not in _counters:
            _counters[url] = strategies.MovingWindowRateLimiter(
                library.storage.storage_from_string(url, wrap_exceptions=True))
        return _counters[url]


def _rate(verb: str) -> library.RateLimitItem | None:
    most = conf.current().rates[verb.lower()]
    return library.RateLimitItemPerMinute(most) if most else None


def _keys(context: RequestContext, verb: str) -> tuple[str, str]:
    return context.project_id or '', verb


def count(context: RequestContext, method: str) -> None:
    """Count a request.

    :raises RateLimitExceeded: there were too many of its method in the last minute
    """
    verb = _COUNTED_AS.get(method, method)
    rate = _rate(verb) if verb in VERBS else None
    if rate is None or _hit(context, verb, rate):
        return
    reset_at = _counter().get_window_stats(rate, *_keys(context, verb)).reset_time
    seconds = reset_at - datetime.datetime.now(datetime.UTC).timestamp()
    raise exception.RateLimitExceeded(
        verb=verb, limit=rate.amount, unit=UNIT, retry_after=max(1, round(seconds + 0.5)))


def _hit(context: RequestContext, verb: str, rate: library.RateLimitItem) -> bool:
    try:
        return _counter().hit(rate, *_keys(context, verb))
    except library.errors.StorageError as err:
        LOG.warning('Requests are not counted: %s', err)
        return True


def limits(context: RequestContext) -> Limits:
    """Return the limits of the caller's project."""
    context.authorize(policies.LIMITS)
    assert context.project_id is not None  # no rule lets a token without a project come here
    allowed = quota.limits_for(context, context.project_id)
    return Limits({name: allowed[resource] for name, resource in _ABSOLUTE.items()},
                  [_left(context, verb) for verb in VERBS if _rate(verb) is not None])


def _left(context: RequestContext, verb: str) -> Rate:
    rate = _rate(verb)
    assert rate is not None  # the caller looked
    now = datetime.datetime.now(datetime.UTC)
    try:
        stats = _counter().get_window_stats(rate, *_keys(context, verb))
    except library.errors.StorageError as err:
        LOG.warning('Rates are not known: %s', err)
        return Rate(verb, rate.amount, rate.amount, UNIT, now)
    at = datetime.datetime.fromtimestamp(stats.reset_time, datetime.UTC)
    return Rate(verb, rate.amount, stats.remaining, UNIT, max(now, at))
