# SPDX-License-Identifier: Apache-2.0
"""Schemas of databases."""

from backupsvc.api.database_v1 import shapes

CREATE = shapes.under('databases', {**shapes.DATABASES, 'minItems': 1})

_ITEM = shapes.closed({'name': shapes.string})
LIST = shapes.page('databases', _ITEM)
SPECIFIED_LIST = shapes.specified_page('databases', _ITEM)
