# SPDX-License-Identifier: Apache-2.0
"""The two services behind the gateway: where each is, and the way of a request there and back."""

import re

import webob

from backupsvc import conf, exception
from backupsvc.api.gateway_v1 import versions
from backupsvc.orchestration import volumes
from backupsvc.wsgi import dispatch, forward, parameter_types

#: Where this very process is one of them.
_OWN_BLOCK_STORAGE = dispatch.Dispatcher('/v3', own_prefix=versions.PREFIX)
_OWN_BACKUP = dispatch.Dispatcher('/v1', own_prefix=versions.PREFIX)

_PROJECT = '/%(project_id)s'

#: The ends of paths behind → places here.
_PLACES = {
    'snapshots': '/block/snapshot',
    'volumes': '/block/volume',
    'volume/backup': '/block/backup',
    'volume': '/block/volume',
    'instance/snapshot': '/compute/snapshot',
    'instance/backup': '/compute/backup',
}
_PLACE = re.compile(rf'(?:/.*)?/({"|".join(_PLACES)})(?:/([^/]+))?/?\Z', re.DOTALL)


def block_storage(req, path: str) -> webob.Response:
    """Forward a request to the Block Storage service.

    :param path: below its base, made of literals and of ids that were checked
    :raises Unsupported: there is none
    """
    url = conf.current().gateway.block_storage_url
    if url and url.endswith(_PROJECT):
        url, path = url.removesuffix(_PROJECT), f'/{_project(req)}{path}'
    if not url and req.context is not None:
        url = volumes.service_url(req.context)
    if url:
        return _forward(req, url, path, forward.BLOCK_STORAGE)
    return _dispatch(req, _OWN_BLOCK_STORAGE, '/v3', path, 'block_storage_url')


def backup(req, path: str) -> webob.Response:
    """Forward a request to the Backup service; otherwise as ``block_storage``."""
    url = conf.current().gateway.backup_url
    if url:
        return _forward(req, url, path, 'Backup service')
    return _dispatch(req, _OWN_BACKUP, '/v1', path, 'backup_url')


def _project(req) -> str:
    project_id = req.context.project_id if req.context else None
    if not project_id or not parameter_types.is_id(project_id):
        raise exception.Unsupported(
            '[gateway] block_storage_url wants a project and the token was not looked at, or is '
            'not of a project.')
    return project_id


def _forward(req, url: str, path: str, name: str) -> webob.Response:
    service = forward.to(
        url, own_prefix=versions.PREFIX, name=name, cafile=conf.current().gateway.cafile)
    return service.forward(req, path, place_of)


def _dispatch(
    req, service: dispatch.Dispatcher, prefix: str, path: str, option: str
) -> webob.Response:
    if req.root.dialect_of({'PATH_INFO': f'{prefix}/'}) is None:
        raise exception.Unsupported(
            f'[gateway] {option} is not set, and {prefix} is not served here.')
    return service.forward(req, path, place_of)


def place_of(path: str) -> str | None:
    """Return where the gateway has what a link of a service behind it leads to, None if nowhere.

    The path may begin with a version and a project; a query stays.
    """
    path, mark, query = path.partition('?')
    found = _PLACE.match(path)
    if found is None:
        return None
    place = versions.PREFIX + _PLACES[found[1]]
    if found[2] is None or found[2] == 'detail':
        return place + mark + query
    return f'{place}/{found[2]}{mark}{query}' if parameter_types.is_id(found[2]) else None
