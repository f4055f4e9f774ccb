# SPDX-License-Identifier: Apache-2.0
"""Rows of availability zones."""

from backupsvc.api.cinder_v3.availability_zones import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import services as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/os-availability-zone', controller.list_zones, policies=(policies.ZONES,),
          served=are_served),
]
