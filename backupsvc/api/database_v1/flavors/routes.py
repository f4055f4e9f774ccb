# SPDX-License-Identifier: Apache-2.0
"""Rows of flavors."""

from backupsvc.api.database_v1.flavors import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/flavors', controller.list_flavors, policies=(policies.FLAVORS,),
          errors=(413,)),
    Route('GET', '/flavors/{flavor_id}', controller.show_flavor, policies=(policies.FLAVORS,),
          errors=(413,)),
]
