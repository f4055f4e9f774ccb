# SPDX-License-Identifier: Apache-2.0
"""Rows of users. A name may have slashes in it, so the longer paths come first."""

from backupsvc.api.database_v1.users import controller
from backupsvc.policies import databases as policies
from backupsvc.wsgi.dialect import Route

_USERS = '/instances/{instance_id}/users'
_USER = _USERS + '/{user:.*}'

ROUTES = [
    Route('GET', _USERS, controller.list_users, policies=(policies.USERS_LIST,),
          errors=(413, 422, 503)),
    Route('POST', _USERS, controller.create_users, policies=(policies.USERS_CREATE,),
          errors=(422, 503)),
    Route('PUT', _USERS, controller.change_passwords, policies=(policies.USERS_UPDATE,),
          errors=(422, 503)),
    Route('GET', _USER + '/databases', controller.list_grants, policies=(policies.USERS_SHOW,),
          errors=(413, 422, 503)),
    Route('PUT', _USER + '/databases', controller.grant, policies=(policies.USERS_UPDATE,),
          errors=(422, 503)),
    Route('DELETE', _USER + '/databases/{database:.*}', controller.revoke,
          policies=(policies.USERS_UPDATE,), errors=(400, 413, 422, 503)),
    Route('GET', _USER, controller.show_user, policies=(policies.USERS_SHOW,),
          errors=(413, 422, 503)),
    Route('PUT', _USER, controller.update_user, policies=(policies.USERS_UPDATE,),
          errors=(422, 503)),
    Route('DELETE', _USER, controller.delete_user, policies=(policies.USERS_DELETE,),
          errors=(400, 413, 422, 503)),
]
