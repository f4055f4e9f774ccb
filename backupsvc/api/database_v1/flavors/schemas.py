# SPDX-License-Identifier: Apache-2.0
"""Schemas of flavors."""

from backupsvc.api.database_v1 import shapes
from backupsvc.wsgi import parameter_types

_INTEGER = {'type': 'integer'}
_SPECIFIED = {
    'id': {'type': ['integer', 'string', 'null']},
    'links': parameter_types.links,
    'name': shapes.string,
    'ram': _INTEGER,
}
_FLAVOR = shapes.closed({
    **_SPECIFIED, 'vcpus': _INTEGER, 'disk': _INTEGER, 'ephemeral': _INTEGER,
    'str_id': shapes.string})

SHOW = shapes.under('flavor', _FLAVOR)
LIST = shapes.page('flavors', _FLAVOR)
SPECIFIED_SHOW = shapes.under('flavor', shapes.closed(_SPECIFIED))
SPECIFIED_LIST = shapes.specified_page('flavors', shapes.closed(_SPECIFIED))
