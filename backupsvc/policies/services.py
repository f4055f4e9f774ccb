# SPDX-License-Identifier: Apache-2.0
"""Rules of what is around volumes: services, types, zones; named as in Cinder."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'volume_extension:services:index'
UPDATE = 'volume_extension:services:update'
TYPES = 'volume_extension:type_get_all'
TYPE = 'volume_extension:type_get'
TYPE_CREATE = 'volume_extension:type_create'
TYPE_UPDATE = 'volume_extension:type_update'
TYPE_DELETE = 'volume_extension:type_delete'
ZONES = 'volume_extension:availability_zone_list'

RULES = [
    base.rule(LIST, base.ADMIN, 'List services.'),
    base.rule(UPDATE, base.ADMIN, 'Enable or disable a service.'),
    base.rule(TYPES, base.READER, 'List volume types.'),
    base.rule(TYPE, base.READER, 'Show a volume type.'),
    base.rule(TYPE_CREATE, base.ADMIN, 'Add a volume type.'),
    base.rule(TYPE_UPDATE, base.ADMIN, 'Change a volume type.'),
    base.rule(TYPE_DELETE, base.ADMIN, 'Remove a volume type.'),
    base.rule(ZONES, base.READER, 'List availability zones.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of services."""
    return list(RULES)
