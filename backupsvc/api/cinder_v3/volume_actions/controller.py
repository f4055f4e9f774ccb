# SPDX-License-Identifier: Apache-2.0
"""Actions on volumes: extend, flags, status by hand, the steps of attaching, image metadata."""

from backupsvc import exception
from backupsvc.api.cinder_v3.volume_actions import schemas
from backupsvc.orchestration import volumes
from backupsvc.policies import volumes as policies
from backupsvc.wsgi import parameter_types, validation


def _id(req) -> str:
    return req.path_params['volume_id']


@validation.body(schemas.EXTEND)
@validation.response(None, status=202)
def extend(req):
    """Make the volume larger; 202."""
    volumes.extend(req.context, _id(req), int(req.json['os-extend']['new_size']))


@validation.body(schemas.RESET_STATUS)
@validation.response(None, status=202)
def reset_status(req):
    """Set the status by hand; 202."""
    wanted = req.json['os-reset_status']
    volumes.reset_status(
        req.context, _id(req), wanted.get('status'), wanted.get('attach_status'))


@validation.body(schemas.ANYTHING)
@validation.response(None, status=202)
def force_delete(req):
    """Delete the volume whatever its status; 202."""
    volumes.delete(req.context, _id(req), cascade=False, force=True)


@validation.body(schemas.SET_BOOTABLE)
@validation.response(None)
def set_bootable(req):
    """Mark the volume as bootable or not; 200."""
    flag = parameter_types.to_bool(req.json['os-set_bootable']['bootable'])
    volumes.update(req.context, _id(req), bootable=flag)


@validation.body(schemas.UPDATE_READONLY)
@validation.response(None, status=202)
def update_readonly(req):
    """Mark the volume as read-only or not, which shows in its metadata; 202."""
    flag = parameter_types.to_bool(req.json['os-update_readonly_flag']['readonly'])
    volumes.set_metadata(
        req.context, _id(req), policies.UPDATE_READONLY, {'readonly': str(flag)}, replace=False)


@validation.body(schemas.RETYPE)
@validation.response(None, status=202)
def retype(req):
    """Give the volume another type; 202."""
    volumes.update(
        req.context, _id(req), policies.RETYPE, volume_type=req.json['os-retype']['new_type'])


@validation.body(schemas.ANYTHING)
@validation.response(None, status=202)
def reserve(req):
    """Reserve the volume for an attachment; 202."""
    volumes.change_status(
        req.context, _id(req), policies.RESERVE, expected=('available',), status='attaching')


@validation.body(schemas.ANYTHING)
@validation.response(None, status=202)
def unreserve(req):
    """Give the reservation up; 202."""
    volumes.change_status(
        req.context, _id(req), policies.UNRESERVE, expected=('attaching', 'reserved'),
        status='available')


@validation.body(schemas.ANYTHING)
@validation.response(None, status=202)
def begin_detaching(req):
    """Say that the volume is about to be detached; 202."""
    volumes.change_status(
        req.context, _id(req), policies.BEGIN_DETACHING, expected=('in-use',),
        status='detaching')


@validation.body(schemas.ANYTHING)
@validation.response(None, status=202)
def roll_detaching(req):
    """Say that the volume stays attached; 202."""
    volumes.change_status(
        req.context, _id(req), policies.ROLL_DETACHING, expected=('detaching',),
        status='in-use')


@validation.body(schemas.ATTACH)
@validation.response(None, status=202)
def attach(req):
    """Note that the volume is attached to an instance or a host; 202."""
    wanted = req.json['os-attach']
    volumes.attach(
        req.context, _id(req), instance_id=wanted.get('instance_uuid'),
        host=wanted.get('host_name'), mountpoint=wanted['mountpoint'],
        mode=wanted.get('mode', 'rw'))


@validation.body(schemas.DETACH)
@validation.response(None, status=202)
def detach(req):
    """Note that the volume is not attached any more; 202."""
    volumes.detach(req.context, _id(req), (req.json['os-detach'] or {}).get('attachment_id'))


@validation.body(schemas.FORCE_DETACH)
@validation.response(None, status=202)
def force_detach(req):
    """The same for administrators; 202."""
    volumes.detach(req.context, _id(req),
                   (req.json['os-force_detach'] or {}).get('attachment_id'),
                   policies.FORCE_DETACH)


@validation.body(schemas.ANYTHING)
@validation.response(schemas.IMAGE_METADATA)
def show_image_metadata(req):
    """Show the properties of the image that the volume was made of; 200."""
    volume = volumes.get(req.context, _id(req), policies.IMAGE_METADATA_SHOW)
    return {'metadata': dict(volume.image_metadata)}


@validation.body(schemas.SET_IMAGE_METADATA)
@validation.response(schemas.IMAGE_METADATA)
def set_image_metadata(req):
    """Add image properties; 200 with all."""
    pairs = req.json['os-set_image_metadata']['metadata']
    return {
        'metadata': volumes.set_metadata(
            req.context, _id(req), policies.IMAGE_METADATA_SET, pairs, replace=False, image=True)
    }


@validation.body(schemas.UNSET_IMAGE_METADATA)
@validation.response(None)
def unset_image_metadata(req):
    """Remove an image property; 200."""
    key = req.json['os-unset_image_metadata']['key']
    try:
        volumes.delete_metadata(
            req.context, _id(req), policies.IMAGE_METADATA_REMOVE, key, image=True)
    except exception.VolumeMetadataNotFound as error:
        raise exception.VolumeMetadataNotFound('Metadata does not exist.') from error
