# SPDX-License-Identifier: Apache-2.0
"""Rules of backups, their metadata, records and administrator's actions, named as in Cinder."""

from oslo_policy import policy

from backupsvc.policies import base

LIST = 'backup:get_all'
PROJECT_ATTRIBUTE = 'backup:backup_project_attribute'
CREATE = 'backup:create'
SHOW = 'backup:get'
UPDATE = 'backup:update'
DELETE = 'backup:delete'
RESTORE = 'backup:restore'
IMPORT = 'backup:backup-import'
EXPORT = 'backup:export-import'
RESET_STATUS = 'volume_extension:backup_admin_actions:reset_status'
FORCE_DELETE = 'volume_extension:backup_admin_actions:force_delete'
METADATA_SHOW = 'backup:get_backup_metadata'
METADATA_CREATE = 'backup:create_backup_metadata'
METADATA_UPDATE = 'backup:update_backup_metadata'
METADATA_DELETE = 'backup:delete_backup_metadata'

RULES = [
    base.rule(LIST, base.READER, 'List backups.'),
    base.rule(SHOW, base.READER, 'Show a backup.'),
    base.rule(
        PROJECT_ATTRIBUTE,
        base.ADMIN,
        'See the project and the user that a backup belongs to, in lists and details.',
    ),
    base.rule(CREATE, base.MEMBER, 'Create a backup. The target is what is backed up.'),
    base.rule(UPDATE, base.MEMBER, 'Change the name, description or metadata of a backup.'),
    base.rule(DELETE, base.MEMBER, 'Delete a backup.'),
    base.rule(RESTORE, base.MEMBER, 'Restore a backup.'),
    base.rule(IMPORT, base.ADMIN, 'Import the record of a backup.'),
    base.rule(EXPORT, base.ADMIN, 'Export the record of a backup.'),
    base.rule(RESET_STATUS, base.ADMIN, 'Set the status of a backup by hand.'),
    base.rule(FORCE_DELETE, base.ADMIN, 'Delete a backup in any status, cancelling its work.'),
    base.rule(METADATA_SHOW, base.READER, 'Show the metadata of a backup.'),
    base.rule(METADATA_CREATE, base.MEMBER, 'Add metadata to a backup.'),
    base.rule(METADATA_UPDATE, base.MEMBER, 'Replace metadata of a backup.'),
    base.rule(METADATA_DELETE, base.MEMBER, 'Remove metadata from a backup.'),
]


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules of backups."""
    return list(RULES)
