# SPDX-License-Identifier: Apache-2.0
"""Rows of health."""

from backupsvc.api.actuator_v1.health import controller
from backupsvc.policies import monitoring as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/health', controller.show_health, policies=(policies.HEALTH,), errors=(503,)),
]
