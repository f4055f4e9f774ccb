# SPDX-License-Identifier: Apache-2.0
"""Rows of quota classes."""

from backupsvc.api.cinder_v3.quota_class_sets import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import quotas as policies
from backupsvc.wsgi.dialect import Route

_CLASS = '/os-quota-class-sets/{class_name}'

ROUTES = [
    Route('GET', _CLASS, controller.show_class, policies=(policies.CLASS_SHOW,),
          served=are_served),
    Route('PUT', _CLASS, controller.update_class, policies=(policies.CLASS_UPDATE,),
          served=are_served),
]
