# SPDX-License-Identifier: Apache-2.0
"""Create the tables of backups, tasks, services, quotas, messages and repositories."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration.table_options(op.get_bind())
    op.create_table(
        'backups',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('user_id', types.string(255), nullable=True),
        sa.Column('kind', types.string(16), nullable=False),
        sa.Column('source_id', types.string(36), nullable=False),
        sa.Column('parent_id', types.string(36), nullable=True),
        sa.Column('set_id', types.string(36), nullable=True),
        sa.Column('name', types.string(255), nullable=True),
        sa.Column('description', types.string(255), nullable=True),
        sa.Column('status', types.string(32), nullable=False),
        sa.Column('fail_reason', types.string(255), nullable=True),
        sa.Column('container', types.string(255), nullable=True),
        sa.Column('repository', types.string(64), nullable=True),
        sa.Column('repository_project_id', types.string(255), nullable=True),
        sa.Column('manifest_id', types.string(36), nullable=True),
        sa.Column('size_gb', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('logical_bytes', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('read_bytes', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('new_bytes', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('stored_bytes', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('object_count', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('snapshot_id', types.string(36), nullable=True),
        sa.Column('data_timestamp', types.UtcDateTime(), nullable=True),
        sa.Column('availability_zone', types.string(255), nullable=True),
        sa.Column('host', types.string(255), nullable=True),
        sa.Column('encryption_key_id', types.string(255), nullable=True),
        sa.Column('origin', types.string(32), nullable=True),
        sa.Column('source_facts', types.Json(), nullable=True),
        sa.Column('change_token', sa.Text(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint('id', name='pk_backups'),
        **options)
    op.create_index('ix_backups_deleted_at', 'backups', ['deleted_at'])
    op.create_index('ix_backups_list', 'backups', ['deleted', 'created_at', 'id'])
    op.create_index('ix_backups_manifest', 'backups', ['manifest_id', 'deleted'])
    op.create_index('ix_backups_parent', 'backups', ['parent_id', 'deleted'])
    op.create_index('ix_backups_project_list', 'backups', ['project_id', 'deleted', 'created_at', 'id'])
    op.create_index('ix_backups_source', 'backups', ['source_id', 'project_id', 'deleted', 'status', 'data_timestamp'])

    op.create_table(
        'messages',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('request_id', types.string(255), nullable=True),
        sa.Column('resource_type', types.string(255), nullable=True),
        sa.Column('resource_id', types.string(36), nullable=True),
        sa.Column('event_id', types.string(255), nullable=False),
        sa.Column('action_id', types.string(10), nullable=True),
        sa.Column('detail_id', types.string(10), nullable=True),
        sa.Column('message_level', types.string(16), nullable=False),
        sa.Column('expires_at', types.UtcDateTime(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_messages'),
        **options)
    op.create_index('ix_messages_expires_at', 'messages', ['expires_at'])
    op.create_index('ix_messages_project_list', 'messages', ['project_id', 'created_at', 'id'])

    op.create_table(
        'quota_classes',
        sa.Column('class_name', types.string(255), nullable=False),
        sa.Column('resource', types.string(255), nullable=False),
        sa.Column('hard_limit', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('class_name', 'resource', name='pk_quota_classes'),
        **options)

    op.create_table(
        'quota_usages',
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('resource', types.string(255), nullable=False),
        sa.Column('in_use', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('project_id', 'resource', name='pk_quota_usages'),
        **options)

    op.create_table(
        'quotas',
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('resource', types.string(255), nullable=False),
        sa.Column('hard_limit', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('project_id', 'resource', name='pk_quotas'),
        **options)

    op.create_table(
        'repositories',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('driver', types.string(64), nullable=False),
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('container', types.string(255), nullable=False),
        sa.Column('deleted_backups', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('last_deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('last_pruned_at', types.UtcDateTime(), nullable=True),
        sa.Column('last_verified_at', types.UtcDateTime(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_repositories'),
        sa.UniqueConstraint('driver', 'project_id', 'container', name='uq_repositories_driver_project_id_container'),
        **options)

    op.create_table(
        'services',
        sa.Column('id', sa.Integer(), nullable=False, autoincrement=True),
        sa.Column('host', types.string(255), nullable=False),
        sa.Column('binary', types.string(255), nullable=False),
        sa.Column('topic', types.string(255), nullable=True),
        sa.Column('availability_zone', types.string(255), nullable=True),
        sa.Column('rpc_version', types.string(36), nullable=True),
        sa.Column('object_version', types.string(36), nullable=True),
        sa.Column('report_count', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('last_seen_at', types.UtcDateTime(), nullable=False),
        sa.Column('disabled', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column('disabled_reason', types.string(255), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_services'),
        sa.UniqueConstraint('host', 'binary', name='uq_services_host_binary'),
        **options)

    op.create_table(
        'tasks',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('kind', types.string(32), nullable=False),
        sa.Column('resource_id', types.string(36), nullable=False),
        sa.Column('running_resource_id', types.string(36), nullable=True),
        sa.Column('project_id', types.string(255), nullable=True),
        sa.Column('user_id', types.string(255), nullable=True),
        sa.Column('request_id', types.string(255), nullable=True),
        sa.Column('state', types.string(16), nullable=False),
        sa.Column('phase', types.string(64), nullable=True),
        sa.Column('host_affinity', types.string(255), nullable=True),
        sa.Column('owner', types.string(255), nullable=True),
        sa.Column('lease_expires_at', types.UtcDateTime(), nullable=True),
        sa.Column('attempt', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('run_after', types.UtcDateTime(), nullable=False),
        sa.Column('arguments', types.Json(), nullable=True),
        sa.Column('resume_point', types.Json(), nullable=True),
        sa.Column('bytes_total', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('bytes_done', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('bytes_read', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('bytes_new', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('bytes_stored', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('cancel_requested', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('started_at', types.UtcDateTime(), nullable=True),
        sa.Column('finished_at', types.UtcDateTime(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_tasks'),
        sa.UniqueConstraint('running_resource_id', name='uq_tasks_running_resource_id'),
        **options)
    op.create_index('ix_tasks_finished_at', 'tasks', ['finished_at'])
    op.create_index('ix_tasks_resource', 'tasks', ['resource_id', 'state'])
    op.create_index('ix_tasks_state_run_after', 'tasks', ['state', 'run_after'])

    op.create_table(
        'backup_metadata',
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('id', sa.Integer(), nullable=False, autoincrement=True),
        sa.Column('backup_id', types.string(36), nullable=False),
        sa.Column('key', types.string(255), nullable=False),
        sa.Column('value', types.string(255), nullable=False),
        sa.Column('deleted', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint('id', name='pk_backup_metadata'),
        sa.ForeignKeyConstraint(['backup_id'], ['backups.id'], name='fk_backup_metadata_backup_id'),
        sa.UniqueConstraint('backup_id', 'key', name='uq_backup_metadata_backup_id_key'),
        **options)
    op.create_index('ix_backup_metadata_pair', 'backup_metadata', ['key', 'value', 'backup_id'])
