# SPDX-License-Identifier: Apache-2.0
"""Rows of metrics."""

from backupsvc.api.actuator_v1.prometheus import controller
from backupsvc.policies import monitoring as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/prometheus', controller.show_metrics, policies=(policies.METRICS,)),
]
