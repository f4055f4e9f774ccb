# SPDX-License-Identifier: Apache-2.0
"""Schemas of root."""

from backupsvc.api.database_v1 import shapes

#: Clients that want a password made send nothing at all.
ENABLE = {**shapes.closed({'password': shapes.password}, ()), 'type': ['object', 'null']}

SHOW = shapes.under('rootEnabled', {'type': 'boolean'})
ENABLED = shapes.under('user', shapes.closed({'name': shapes.string, 'password': shapes.string}))
