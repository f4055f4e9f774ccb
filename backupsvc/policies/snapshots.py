# SPDX-License-Identifier: Apache-2.0
"""Rules of snapshots where this service serves volumes, named as in Cinder."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'volume:get_all_snapshots'
SHOW = 'volume:get_snapshot'
CREATE = 'volume:create_snapshot'
UPDATE = 'volume:update_snapshot'
DELETE = 'volume:delete_snapshot'
FORCE_DELETE = 'volume_extension:snapshot_admin_actions:force_delete'
RESET_STATUS = 'volume_extension:snapshot_admin_actions:reset_status'
EXTENDED_ATTRIBUTES = 'volume_extension:extended_snapshot_attributes'
METADATA_SHOW = 'volume:get_snapshot_metadata'
METADATA_UPDATE = 'volume:update_snapshot_metadata'
METADATA_DELETE = 'volume:delete_snapshot_metadata'

RULES = [
    base.rule(LIST, base.READER, 'List snapshots.'),
    base.rule(SHOW, base.READER, 'Show a snapshot.'),
    base.rule(CREATE, base.MEMBER, 'Create a snapshot. The target is the volume.'),
    base.rule(UPDATE, base.MEMBER, 'Change the name or description of a snapshot.'),
    base.rule(DELETE, base.MEMBER, 'Delete a snapshot.'),
    base.rule(FORCE_DELETE, base.ADMIN, 'Delete a snapshot in any status.'),
    base.rule(RESET_STATUS, base.ADMIN, 'Set the status of a snapshot by hand.'),
    base.rule(EXTENDED_ATTRIBUTES, base.READER, 'See the project and progress of a snapshot.'),
    base.rule(METADATA_SHOW, base.READER, 'Show the metadata of a snapshot.'),
    base.rule(METADATA_UPDATE, base.MEMBER, 'Add or replace metadata of a snapshot.'),
    base.rule(METADATA_DELETE, base.MEMBER, 'Remove metadata from a snapshot.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of snapshots."""
    return list(RULES)
