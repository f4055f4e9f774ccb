# SPDX-License-Identifier: Apache-2.0
"""Schemas of users."""

from backupsvc.api.database_v1 import shapes

CREATE = shapes.under('users', {**shapes.USERS, 'minItems': 1})
PASSWORDS = shapes.under('users', shapes.array(shapes.open_({
    'name': shapes.local_name,
    'password': shapes.password,
    'host': shapes.host,
}, ('name', 'password')), 1))
UPDATE = shapes.under('user', shapes.closed({
    'name': shapes.local_name,
    'password': shapes.password,
    'host': shapes.host,
}, ()))
GRANT = shapes.under('databases', {**shapes.DATABASE_NAMES, 'minItems': 1})

_DATABASES = shapes.array(shapes.closed({'name': shapes.string}))
_USER = shapes.closed({'name': shapes.string, 'host': shapes.string, 'databases': _DATABASES})
SHOW = shapes.under('user', _USER)
LIST = shapes.page('users', _USER)
SPECIFIED_LIST = shapes.specified_page('users', _USER)
GRANTS = shapes.under('databases', _DATABASES)
