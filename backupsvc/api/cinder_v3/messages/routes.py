# SPDX-License-Identifier: Apache-2.0
"""Rows of user messages."""

from backupsvc.api.cinder_v3 import versions
from backupsvc.api.cinder_v3.messages import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import messages as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/messages', controller.list_messages, min_version=versions.USER_MESSAGES,
          policies=(policies.LIST,), served=are_served),
    Route('GET', '/messages/{message_id}', controller.show_message,
          min_version=versions.USER_MESSAGES, policies=(policies.SHOW,), served=are_served),
    Route('DELETE', '/messages/{message_id}', controller.delete_message,
          min_version=versions.USER_MESSAGES, policies=(policies.DELETE,), served=are_served),
]
