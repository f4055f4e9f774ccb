# SPDX-License-Identifier: Apache-2.0
"""Rows of root."""

from backupsvc.api.database_v1.root import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

_ROOT = '/instances/{instance_id}/root'

ROUTES = [
    Route('GET', _ROOT, controller.show_root, policies=(policies.ROOT_SHOW,),
          errors=(413, 422, 503)),
    Route('POST', _ROOT, controller.enable_root, policies=(policies.ROOT_ENABLE,),
          errors=(422, 503)),
    Route('DELETE', _ROOT, controller.disable_root, policies=(policies.ROOT_DISABLE,),
          errors=(413, 422, 503)),
]
