# SPDX-License-Identifier: Apache-2.0
"""Schemas of instances."""

from backupsvc.api.database_v1 import shapes
from backupsvc.wsgi import parameter_types

CREATE = shapes.under('instance', shapes.open_({
    'name': shapes.name,
    'flavorRef': shapes.flavor_ref,
    'volume': shapes.open_({'size': shapes.size_gb}, ('size',)),
    'databases': shapes.DATABASES,
    'users': shapes.USERS,
    'restorePoint': shapes.open_({
        'backupRef': {'type': 'string', 'minLength': 1, 'maxLength': 1024}}, ('backupRef',)),
    'datastore': shapes.open_({
        'type': shapes.string_or_null, 'version': shapes.string_or_null}),
    'availability_zone': parameter_types.availability_zone,
}, ('name', 'flavorRef', 'volume')))

UPDATE = shapes.under('instance', shapes.open_({'name': shapes.name}))

_FLAVOR = shapes.closed({'id': shapes.string, 'links': parameter_types.links})
_SUMMARY = {
    'id': shapes.string,
    'name': shapes.string,
    'status': shapes.string,
    'links': parameter_types.links,
    'flavor': _FLAVOR,
    'volume': shapes.closed({'size': {'type': 'integer'}, 'used': {'type': 'number'}}, ('size',)),
}
_DETAIL = {
    **_SUMMARY,
    'created': shapes.time,
    'updated': shapes.time,
    'hostname': shapes.string,
    'port': {'type': 'integer'},
}
_CLIENTS = {
    **_DETAIL,
    'operating_status': shapes.string,
    'datastore': shapes.closed({
        'type': shapes.string, 'version': shapes.string, 'version_number': shapes.string}),
    'region': shapes.string,
    'access': shapes.closed({'is_public': {'type': 'boolean'}}),
    'service_status_updated': shapes.time,
    'fault': shapes.closed({'message': shapes.string, 'created': shapes.time,
                            'details': shapes.string}),
    'tenant_id': shapes.string,
}

_AT_MOST = ('hostname', 'port', 'fault', 'tenant_id')

_ITEM = shapes.closed(_CLIENTS, [name for name in _CLIENTS if name not in _AT_MOST])
SHOW = shapes.under('instance', _ITEM)
LIST = shapes.page('instances', _ITEM)

SPECIFIED_SHOW = shapes.under('instance', shapes.closed(
    _DETAIL, [name for name in _DETAIL if name not in _AT_MOST]))
SPECIFIED_LIST = shapes.specified_page('instances', shapes.closed(_SUMMARY))
