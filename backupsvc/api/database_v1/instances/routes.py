# SPDX-License-Identifier: Apache-2.0
"""Rows of instances."""

from backupsvc.api.database_v1.instances import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/instances', controller.list_instances, policies=(policies.LIST,),
          errors=(413,)),
    Route('GET', '/instances/detail', controller.list_instances, policies=(policies.LIST,),
          errors=(413,)),
    Route('POST', '/instances', controller.create_instance,
          policies=(policies.CREATE, policies.BACKUPS_RESTORE), errors=(404, 409, 501, 503)),
    Route('GET', '/instances/{instance_id}', controller.show_instance,
          policies=(policies.SHOW,), errors=(413,)),
    Route('PUT', '/instances/{instance_id}', controller.update_instance,
          policies=(policies.UPDATE,), errors=(501,)),
    Route('PATCH', '/instances/{instance_id}', controller.update_instance,
          policies=(policies.UPDATE,), errors=(501,)),
    Route('DELETE', '/instances/{instance_id}', controller.delete_instance,
          policies=(policies.DELETE,), errors=(413, 422)),
]
