# SPDX-License-Identifier: Apache-2.0
"""Rows of quota sets."""

from backupsvc.api.cinder_v3.quota_sets import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import quotas as policies
from backupsvc.wsgi.dialect import Route

_SET = '/os-quota-sets/{target_id}'

ROUTES = [
    Route('GET', _SET, controller.show_quotas, policies=(policies.SHOW,), served=are_served),
    Route('GET', f'{_SET}/defaults', controller.show_defaults, policies=(policies.SHOW,),
          served=are_served),
    Route('PUT', _SET, controller.update_quotas, policies=(policies.UPDATE,), served=are_served),
    Route('DELETE', _SET, controller.delete_quotas, policies=(policies.DELETE,),
          served=are_served),
]
