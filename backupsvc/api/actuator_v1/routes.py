# SPDX-License-Identifier: Apache-2.0
"""Rows of the dialect."""

from backupsvc.api.actuator_v1.backups import routes as backups
from backupsvc.api.actuator_v1.health import routes as health
from backupsvc.api.actuator_v1.prometheus import routes as prometheus

ROUTES = [*backups.ROUTES, *health.ROUTES, *prometheus.ROUTES]
