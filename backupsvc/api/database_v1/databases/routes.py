# SPDX-License-Identifier: Apache-2.0
"""Rows of databases."""

from backupsvc.api.database_v1.databases import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/instances/{instance_id}/databases', controller.list_databases,
          policies=(policies.DATABASES_LIST,), errors=(413, 422, 503)),
    Route('POST', '/instances/{instance_id}/databases', controller.create_databases,
          policies=(policies.DATABASES_CREATE,), errors=(422, 503)),
    Route('DELETE', '/instances/{instance_id}/databases/{database:.*}',
          controller.delete_database, policies=(policies.DATABASES_DELETE,),
          errors=(400, 413, 422, 503)),
]
