# SPDX-License-Identifier: Apache-2.0
"""Use case of health: is what the service depends on there, as this process sees it?"""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from backupsvc import conf, exception
from backupsvc import context as request_context
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.objects.service import ServiceList
from backupsvc.orchestration import placement
from backupsvc.policies import monitoring as policies
from backupsvc.rpc import probe


@dataclasses.dataclass(frozen=True)
class Component:
    """One thing that the service depends on.

    :ivar is_up: None where there is no way to tell
    :ivar details: plain values for an operator
    """

    name: str
    is_up: bool | None
    details: dict[str, Any]


def check(context: RequestContext) -> list[Component]:
    """Look at everything at once, each for at most ``[management] check_timeout`` seconds."""
    context.authorize(policies.HEALTH)
    timeout_s = conf.current().management.check_timeout
    checks: dict[str, Callable[[], Component]] = {
        'database': _database,
        'messageBus': lambda: _message_bus(timeout_s),
        'managers': _managers,
        'repository': _repository,
    }
    found: dict[str, Component] = {}
    threads = [
        threading.Thread(target=_look, args=(name, checks[name], found), daemon=True,
                         name=f'health-{name}')
        for name in conf.current().management.checks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)  # they run at the same time: the others have waited as well
    return [found.get(name) or Component(name, False, {
        'error': f'no answer within {timeout_s:g} s'})
        for name in conf.current().management.checks]


def _look(name: str, look: Callable[[], Component], found: dict[str, Component]) -> None:
    try:
        found[name] = look()
    except exception.Unsupported as unknown:
        found[name] = Component(name, None, {'error': unknown.message})
    except exception.BackupsvcError as refused:
        found[name] = Component(name, False, {'error': refused.message})
    except Exception as away:
        # The texts of other libraries may hold URLs with passwords.
        found[name] = Component(name, False, {'error': type(away).__name__})


def _database() -> Component:
    ServiceList.get_all(request_context.get_admin_context(), {'binary': placement.BINARY})
    return Component('database', True, {})


def _message_bus(timeout_s: float) -> Component:
    return Component('messageBus', True, {'answeredBy': probe.check(timeout_s)})


def _managers() -> Component:
    services = ServiceList.get_all(
        request_context.get_admin_context(), {'binary': placement.BINARY})
    hosts = {
        service.host: {
            'status': 'UP' if service.is_up else 'DOWN',
            'disabled': service.disabled,
            'availabilityZone': service.availability_zone,
            'secondsSinceSeen': round(max(0.0, service.seconds_since_seen), 1),
        }
        for service in services
    }
    return Component('managers', any(service.is_usable for service in services),
                     {'hosts': hosts})


def _repository() -> Component:
    driver = loader.repository_driver()
    driver.check_setup()
    return Component('repository', True, {'driver': driver.name})
