# SPDX-License-Identifier: Apache-2.0
"""Schemas of backup metadata: whole, and one item."""

from backupsvc.wsgi import parameter_types


def _only(name: str, schema: dict) -> dict:
    return {
        'type': 'object',
        'properties': {name: schema},
        'required': [name],
        'additionalProperties': False,
    }


METADATA = _only('metadata', parameter_types.metadata)
ITEM = _only('meta', {**parameter_types.metadata, 'minProperties': 1})

#: Calls that read nothing from the query let anything stand there.
NO_QUERY = {'type': 'object', 'additionalProperties': parameter_types.query_string}
