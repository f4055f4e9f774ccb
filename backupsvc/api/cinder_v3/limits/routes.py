# SPDX-License-Identifier: Apache-2.0
"""Rows of limits."""

from backupsvc.api.cinder_v3.limits import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import quotas as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/limits', controller.show_limits, policies=(policies.LIMITS,), errors=(400,),
          served=are_served),
]
