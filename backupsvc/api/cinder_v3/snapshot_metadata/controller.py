# SPDX-License-Identifier: Apache-2.0
"""Metadata of snapshots: all of it, and pair by pair."""

from backupsvc import exception
from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.snapshot_metadata import schemas
from backupsvc.orchestration import snapshots
from backupsvc.policies import snapshots as policies
from backupsvc.wsgi import validation


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ALL)
def show_metadata(req):
    """Show all pairs; 200."""
    return {'metadata': dict(_snapshot(req).metadata)}


def _snapshot(req):
    return snapshots.get(req.context, req.path_params['snapshot_id'], policies.METADATA_SHOW)


@validation.body(schemas.SET)
@validation.response(schemas.ALL)
def create_metadata(req):
    """Add pairs to those that there are; 200 with all."""
    return {'metadata': _set(req, req.json['metadata'])}


@validation.body(schemas.SET)
@validation.response(schemas.ALL)
def replace_metadata(req):
    """Replace all pairs; 200 with all."""
    return {'metadata': _set(req, req.json['metadata'], replace=True)}


def _set(req, pairs: dict, replace: bool = False) -> dict:
    return snapshots.set_metadata(
        req.context, req.path_params['snapshot_id'], pairs, replace=replace)


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.ITEM)
def show_item(req):
    """Show one pair; 200."""
    snapshot, key = _snapshot(req), req.path_params['key']
    if key not in snapshot.metadata:
        raise exception.SnapshotMetadataNotFound(snapshot_id=snapshot.id, key=key)
    return {'meta': {key: snapshot.metadata[key]}}


@validation.body(schemas.SET_ITEM)
@validation.response(schemas.ITEM)
def update_item(req):
    """Set one pair; 200 with it."""
    key, pairs = req.path_params['key'], req.json['meta']
    if list(pairs) != [key]:
        raise exception.Invalid('Request body and URI mismatch')
    _set(req, pairs)
    return {'meta': pairs}


@validation.response(None)
def delete_item(req):
    """Remove one pair; 200."""
    snapshots.delete_metadata(
        req.context, req.path_params['snapshot_id'], req.path_params['key'])
