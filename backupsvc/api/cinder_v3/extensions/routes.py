# SPDX-License-Identifier: Apache-2.0
"""Rows of extensions."""

from backupsvc.api.cinder_v3.extensions import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/extensions', controller.list_extensions, served=are_served),
]
