# SPDX-License-Identifier: Apache-2.0
"""Schemas of the administrator's actions on a backup."""

RESET_STATUS = {
    'type': 'object',
    'properties': {
        'os-reset_status': {
            'type': 'object',
            'properties': {'status': {'type': 'string'}},
            'required': ['status'],
            'additionalProperties': False,
        },
    },
    'required': ['os-reset_status'],
    'additionalProperties': False,
}

#: Clients send null; whatever stands there means the same.
FORCE_DELETE = {
    'type': 'object',
    'properties': {'os-force_delete': {}},
    'required': ['os-force_delete'],
    'additionalProperties': False,
}
