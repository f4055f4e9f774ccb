# SPDX-License-Identifier: Apache-2.0
"""Use case of metrics: what the whole service has done and has still to do, from its records."""

import dataclasses

from backupsvc.context import RequestContext
from backupsvc.objects import counters
from backupsvc.objects.service import ServiceList
from backupsvc.orchestration import placement
from backupsvc.policies import monitoring as policies

#: Outcome of a task that was claimed because its manager had let its lease run out.
TAKEN_OVER = counters.TAKEN_OVER

#: Upper bounds, in seconds, of the classes that durations are counted in.
BOUNDS = counters.BOUNDS


@dataclasses.dataclass(frozen=True)
class Work:
    """What managers do.

    :ivar ended: since the service was set up, by kind and outcome
    :ivar live: still to do, by kind and state
    :ivar managers: host → whether it lives
    """

    ended: list[counters.Ended]
    live: list[counters.Live]
    managers: dict[str, bool]


def work(context: RequestContext) -> Work:
    """Return what managers have done and have still to do; in three statements that cost what
    there is to do, not what has been done.
    """
    context.authorize(policies.METRICS)
    services = ServiceList.get_all(context, {'binary': placement.BINARY})
    return Work(counters.ended(context), counters.live(context),
                {service.host: service.is_up for service in services})
