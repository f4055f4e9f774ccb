# SPDX-License-Identifier: Apache-2.0
"""Metadata of volumes: all of it, and pair by pair."""

from backupsvc import exception
from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.volume_metadata import schemas
from backupsvc.orchestration import volumes
from backupsvc.policies import volumes as policies
from backupsvc.wsgi import validation


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ALL)
def show_metadata(req):
    """Show all pairs; 200."""
    volume = volumes.get(req.context, req.path_params['volume_id'], policies.METADATA_SHOW)
    return {'metadata': dict(volume.metadata)}


@validation.body(schemas.SET)
@validation.response(schemas.ALL)
def create_metadata(req):
    """Add pairs to those that there are; 200 with all."""
    return {'metadata': _set(req, policies.METADATA_CREATE, req.json['metadata'])}


@validation.body(schemas.SET)
@validation.response(schemas.ALL)
def replace_metadata(req):
    """Replace all pairs; 200 with all."""
    return {
        'metadata': _set(req, policies.METADATA_UPDATE, req.json['metadata'], replace=True)
    }


def _set(req, rule: str, pairs: dict, replace: bool = False) -> dict:
    return volumes.set_metadata(
        req.context, req.path_params['volume_id'], rule, pairs, replace=replace)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ITEM)
def show_item(req):
    """Show one pair; 200."""
    volume = volumes.get(req.context, req.path_params['volume_id'], policies.METADATA_SHOW)
    key = req.path_params['key']
    if key not in volume.metadata:
        raise exception.VolumeMetadataNotFound(volume_id=volume.id, key=key)
    return {'meta': {key: volume.metadata[key]}}


@validation.body(schemas.SET_ITEM)
@validation.response(schemas.ITEM)
def update_item(req):
    """Set one pair; 200 with it."""
    key, pairs = req.path_params['key'], req.json['meta']
    if list(pairs) != [key]:
        raise exception.Invalid('Request body and URI mismatch')
    _set(req, policies.METADATA_UPDATE, pairs)
    return {'meta': pairs}


@validation.response(None)
def delete_item(req):
    """Remove one pair; 200."""
    volumes.delete_metadata(
        req.context, req.path_params['volume_id'], policies.METADATA_DELETE,
        req.path_params['key'])
