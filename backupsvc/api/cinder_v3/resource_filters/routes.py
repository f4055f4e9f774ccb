# SPDX-License-Identifier: Apache-2.0
"""Rows of resource filters."""

from backupsvc.api.cinder_v3 import versions
from backupsvc.api.cinder_v3.resource_filters import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/resource_filters', controller.list_resource_filters,
          min_version=versions.RESOURCE_FILTERS, served=are_served),
]
