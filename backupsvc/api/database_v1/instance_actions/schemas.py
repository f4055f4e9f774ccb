# SPDX-License-Identifier: Apache-2.0
"""Schemas of the actions of instances."""

from backupsvc.api.database_v1 import shapes

RESTART = shapes.under('restart', {'type': ['object', 'null', 'string'], 'maxLength': 0})
RESIZE = shapes.under('resize', {
    **shapes.closed({
        'flavorRef': shapes.flavor_ref,
        'volume': shapes.open_({'size': shapes.size_gb}, ('size',)),
    }, ()),
    'minProperties': 1,
    'maxProperties': 1,
})
