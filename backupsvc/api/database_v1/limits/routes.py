# SPDX-License-Identifier: Apache-2.0
"""Rows of limits."""

from backupsvc.api.database_v1.limits import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/limits', controller.show_limits, policies=(policies.LIMITS,), errors=(413,)),
]
