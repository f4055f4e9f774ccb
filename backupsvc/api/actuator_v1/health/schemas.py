# SPDX-License-Identifier: Apache-2.0
"""Schemas of health; statuses are named as Spring Boot's actuator names them."""

QUERY: dict = {'type': 'object', 'additionalProperties': {'type': 'string'}}

_STATUS = {'type': 'string', 'enum': ['UP', 'DOWN', 'UNKNOWN']}

HEALTH = {
    'type': 'object',
    'properties': {
        'status': _STATUS,
        'components': {
            'type': 'object',
            'additionalProperties': {
                'type': 'object',
                'properties': {'status': _STATUS, 'details': {'type': 'object'}},
                'required': ['status', 'details'],
                'additionalProperties': False,
            },
        },
    },
    'required': ['status', 'components'],
    'additionalProperties': False,
}
