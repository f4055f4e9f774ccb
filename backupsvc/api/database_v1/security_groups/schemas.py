# SPDX-License-Identifier: Apache-2.0
"""Schemas of security groups and their rules."""

from backupsvc.api.database_v1 import shapes
from backupsvc.wsgi import parameter_types

CREATE_RULE = shapes.under('security_group_rule', shapes.open_({
    'group_id': {'type': 'string', 'minLength': 1, 'maxLength': 255},
    'cidr': {'type': 'string', 'minLength': 1, 'maxLength': 64},
}, ('group_id', 'cidr')))

_INTEGER = {'type': 'integer'}
_RULE = shapes.closed({
    'id': shapes.string,
    'protocol': shapes.string,
    'from_port': _INTEGER,
    'to_port': _INTEGER,
    'cidr': shapes.string,
})
_NEW_RULE = shapes.closed({**_RULE['properties'], 'security_group_id': shapes.string,
                           'created': shapes.time})
_GROUP = shapes.closed({
    'id': shapes.string,
    'name': shapes.string,
    'description': shapes.string_or_null,
    'instance_id': shapes.string,
    'links': parameter_types.links,
    'rules': shapes.array(_RULE),
    'created': shapes.time,
    'updated': shapes.time,
})

SHOW = shapes.under('security_group', _GROUP)
LIST = shapes.page('security_groups', _GROUP)
SPECIFIED_LIST = shapes.specified_page('security_groups', _GROUP)
RULE = shapes.under('security_group_rule', shapes.array(_NEW_RULE))
SPECIFIED_RULE = shapes.under('security_group_rule', _NEW_RULE)
