# SPDX-License-Identifier: Apache-2.0
"""Metadata of a backup, whole and by key, as the backup metadata specification has it.

Every answer with metadata has its version as ETag; a change with If-Match is made only if the
metadata still has one of those versions, else 412.
"""

from backupsvc import exception
from backupsvc.api.cinder_v3.backup_metadata import schemas, views
from backupsvc.orchestration import metadata
from backupsvc.wsgi import validation

#: ``openstack volume backup unset --property a`` deletes every key but a: the client passes on the
#: keys that are to stay. It cannot be told apart from a client that means it, so all are warned.
_UNSET_WARNING = (
    '299 - "Releases of python-openstackclient up to at least 10.5 delete the properties that '
    '\\"volume backup unset\\" should keep; use PUT of the whole metadata instead"')


@validation.query(schemas.NO_QUERY)
@validation.response(schemas.METADATA)
def show_metadata(req):
    """Show all pairs; 200."""
    backup = metadata.show(req.context, req.path_params['backup_id'])
    return _whole(req, backup)


@validation.body(schemas.METADATA)
@validation.response(schemas.METADATA)
def merge_metadata(req):
    """Add pairs and set those that are there; 200 with all."""
    backup = metadata.merge(
        req.context, req.path_params['backup_id'], req.json['metadata'], _if_match(req))
    return _whole(req, backup)


@validation.body(schemas.METADATA)
@validation.response(schemas.METADATA)
def replace_metadata(req):
    """Make the given pairs the whole metadata; 200 with all."""
    backup = metadata.replace(
        req.context, req.path_params['backup_id'], req.json['metadata'], _if_match(req))
    return _whole(req, backup)


@validation.query(schemas.NO_QUERY)
@validation.response(schemas.ITEM)
def show_item(req):
    """Show one pair; 200."""
    backup = metadata.show(req.context, req.path_params['backup_id'])
    key = req.path_params['key']
    value = metadata.item(backup, key)
    _tag(req, backup)
    return views.item(key, value)


@validation.body(schemas.ITEM)
@validation.response(schemas.ITEM)
def set_item(req):
    """Set one pair; 200 with it."""
    key = req.path_params['key']
    pairs = req.json['meta']
    if key not in pairs:
        raise exception.Invalid('Request body and URI mismatch')
    if len(pairs) > 1:
        raise exception.Invalid('Request body contains too many items')
    backup = metadata.set_item(
        req.context, req.path_params['backup_id'], key, pairs[key], _if_match(req))
    _tag(req, backup)
    return views.item(key, pairs[key])


@validation.response(None)
def delete_item(req):
    """Remove one pair; 200, empty."""
    metadata.delete_item(
        req.context, req.path_params['backup_id'], req.path_params['key'], _if_match(req))
    req.response_headers['Warning'] = _UNSET_WARNING


def _whole(req, backup) -> dict:
    _tag(req, backup)
    return views.whole(backup)


def _tag(req, backup) -> None:
    req.response_headers['ETag'] = f'"{backup.metadata_version}"'


def _if_match(req) -> list[str] | None:
    """Return the versions that the caller accepts; None when the header is absent or ``*``."""
    return getattr(req.if_match, 'etags', None)
