# SPDX-License-Identifier: Apache-2.0
"""Schemas of resource filters."""

from backupsvc.wsgi import parameter_types

LIST_QUERY = {
    'type': 'object',
    'properties': {'resource': parameter_types.query_string},
    'additionalProperties': parameter_types.query_string,
}

LIST = {
    'type': 'object',
    'properties': {
        'resource_filters': {
            'type': 'array',
            'items': {
                'type': 'object',
                'properties': {
                    'resource': {'type': 'string'},
                    'filters': {'type': 'array', 'items': {'type': 'string'}},
                },
                'required': ['resource', 'filters'],
                'additionalProperties': False,
            },
        },
    },
    'required': ['resource_filters'],
    'additionalProperties': False,
}
