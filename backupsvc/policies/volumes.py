# SPDX-License-Identifier: Apache-2.0
"""Rules of volumes where this service serves them, named as in Cinder."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'volume:get_all'
SHOW = 'volume:get'
CREATE = 'volume:create'
UPDATE = 'volume:update'
DELETE = 'volume:delete'
FORCE_DELETE = 'volume_extension:volume_admin_actions:force_delete'
RESET_STATUS = 'volume_extension:volume_admin_actions:reset_status'
EXTEND = 'volume:extend'
UPDATE_READONLY = 'volume:update_readonly_flag'
HOST_ATTRIBUTE = 'volume_extension:volume_host_attribute'
TENANT_ATTRIBUTE = 'volume_extension:volume_tenant_attribute'
MIGRATION_ATTRIBUTE = 'volume_extension:volume_mig_status_attribute'
METADATA_SHOW = 'volume:get_volume_metadata'
METADATA_CREATE = 'volume:create_volume_metadata'
METADATA_UPDATE = 'volume:update_volume_metadata'
METADATA_DELETE = 'volume:delete_volume_metadata'
IMAGE_METADATA_SHOW = 'volume_extension:volume_image_metadata:show'
IMAGE_METADATA_SET = 'volume_extension:volume_image_metadata:set'
IMAGE_METADATA_REMOVE = 'volume_extension:volume_image_metadata:remove'
RESERVE = 'volume_extension:volume_actions:reserve'
UNRESERVE = 'volume_extension:volume_actions:unreserve'
BEGIN_DETACHING = 'volume_extension:volume_actions:begin_detaching'
ROLL_DETACHING = 'volume_extension:volume_actions:roll_detaching'
ATTACH = 'volume_extension:volume_actions:attach'
DETACH = 'volume_extension:volume_actions:detach'
FORCE_DETACH = 'volume_extension:volume_admin_actions:force_detach'
RETYPE = 'volume:retype'
TRANSFER_LIST = 'volume:get_all_transfers'
TRANSFER_SHOW = 'volume:get_transfer'
TRANSFER_CREATE = 'volume:create_transfer'
TRANSFER_ACCEPT = 'volume:accept_transfer'
TRANSFER_DELETE = 'volume:delete_transfer'

RULES = [
    base.rule(LIST, base.READER, 'List volumes.'),
    base.rule(SHOW, base.READER, 'Show a volume.'),
    base.rule(CREATE, base.MEMBER, 'Create a volume.'),
    base.rule(UPDATE, base.MEMBER, 'Change the name, description or bootable flag of a volume.'),
    base.rule(DELETE, base.MEMBER, 'Delete a volume.'),
    base.rule(FORCE_DELETE, base.ADMIN, 'Delete a volume in any status.'),
    base.rule(RESET_STATUS, base.ADMIN, 'Set the status of a volume by hand.'),
    base.rule(EXTEND, base.MEMBER, 'Make a volume larger.'),
    base.rule(UPDATE_READONLY, base.MEMBER, 'Mark a volume as read-only.'),
    base.rule(HOST_ATTRIBUTE, base.ADMIN, 'See the host of a volume.'),
    base.rule(TENANT_ATTRIBUTE, base.READER, 'See the project of a volume.'),
    base.rule(MIGRATION_ATTRIBUTE, base.ADMIN, 'See the migration status of a volume.'),
    base.rule(METADATA_SHOW, base.READER, 'Show the metadata of a volume.'),
    base.rule(METADATA_CREATE, base.MEMBER, 'Add metadata to a volume.'),
    base.rule(METADATA_UPDATE, base.MEMBER, 'Replace metadata of a volume.'),
    base.rule(METADATA_DELETE, base.MEMBER, 'Remove metadata from a volume.'),
    base.rule(IMAGE_METADATA_SHOW, base.READER, 'Show the image metadata of a volume.'),
    base.rule(IMAGE_METADATA_SET, base.MEMBER, 'Set image metadata of a volume.'),
    base.rule(IMAGE_METADATA_REMOVE, base.MEMBER, 'Remove image metadata from a volume.'),
    base.rule(RESERVE, base.MEMBER, 'Reserve a volume for an attachment.'),
    base.rule(UNRESERVE, base.MEMBER, 'Give up the reservation of a volume.'),
    base.rule(BEGIN_DETACHING, base.MEMBER, 'Say that a volume is about to be detached.'),
    base.rule(ROLL_DETACHING, base.MEMBER, 'Say that a volume stays attached after all.'),
    base.rule(ATTACH, base.MEMBER, 'Note that a volume is attached.'),
    base.rule(DETACH, base.MEMBER, 'Note that a volume is detached.'),
    base.rule(FORCE_DETACH, base.ADMIN, 'Note that a volume is detached, for administrators.'),
    base.rule(RETYPE, base.MEMBER, 'Give a volume another type.'),
    base.rule(TRANSFER_LIST, base.READER, 'List offers of volumes to other projects.'),
    base.rule(TRANSFER_SHOW, base.READER, 'Show an offer of a volume.'),
    base.rule(TRANSFER_CREATE, base.MEMBER, 'Offer a volume to another project.'),
    base.rule(TRANSFER_ACCEPT, base.MEMBER, 'Take over an offered volume.'),
    base.rule(TRANSFER_DELETE, base.MEMBER, 'Withdraw an offer of a volume.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of volumes."""
    return list(RULES)
