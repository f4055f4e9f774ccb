# SPDX-License-Identifier: Apache-2.0
"""The dialect's route tables, put together from those of its resources, in both forms."""

from backupsvc.api.database_v1 import forms
from backupsvc.api.database_v1.backups import routes as backups
from backupsvc.api.database_v1.databases import routes as databases
from backupsvc.api.database_v1.flavors import routes as flavors
from backupsvc.api.database_v1.instance_actions import routes as instance_actions
from backupsvc.api.database_v1.instances import routes as instances
from backupsvc.api.database_v1.limits import routes as limits
from backupsvc.api.database_v1.root import routes as root
from backupsvc.api.database_v1.security_groups import routes as security_groups
from backupsvc.api.database_v1.users import routes as users

RESOURCES = (
    instances, instance_actions, databases, users, root, flavors, limits, backups, security_groups)

ROUTES = [row for resource in RESOURCES for row in resource.ROUTES]

#: Of the specification: updates are PATCH alone.
SPECIFIED = forms.specified_rows(
    row for row in ROUTES if (row.method, row.path) != ('PUT', '/instances/{instance_id}'))
