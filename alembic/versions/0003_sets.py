# SPDX-License-Identifier: Apache-2.0
"""Add what is made of several volumes at one moment: backup sets and instance snapshots."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration.table_options(op.get_bind())
    op.create_index('ix_backups_set', 'backups', ['set_id', 'deleted'])

    op.create_table(
        'backup_sets',
        *_set(),
        sa.Column('container', types.string(255), nullable=True),
        sa.Column('is_incremental', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint('id', name='pk_backup_sets'),
        **options)
    op.create_table(
        'snapshots',
        *_set(),
        sa.PrimaryKeyConstraint('id', name='pk_snapshots'),
        **options)
    for table in ('backup_sets', 'snapshots'):
        op.create_index(f'ix_{table}_deleted_at', table, ['deleted_at'])
        op.create_index(f'ix_{table}_list', table, ['deleted', 'created_at', 'id'])
        op.create_index(
            f'ix_{table}_project_list', table, ['project_id', 'deleted', 'created_at', 'id'])
        op.create_index(f'ix_{table}_source', table, ['source_id', 'deleted', 'created_at'])

    op.create_table(
        'snapshot_members',
        sa.Column('set_id', types.string(36), nullable=False),
        sa.Column('volume_id', types.string(36), nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('device', types.string(255), nullable=True),
        sa.Column('size_gb', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('snapshot_id', types.string(36), nullable=True),
        sa.PrimaryKeyConstraint('set_id', 'volume_id', name='pk_snapshot_members'),
        sa.ForeignKeyConstraint(['set_id'], ['snapshots.id'], name='fk_snapshot_members_set_id'),
        **options)
    op.create_index('ix_snapshot_members_snapshot', 'snapshot_members', ['snapshot_id'])

    for table, owner in (('backup_set_metadata', 'backup_sets'),
                         ('snapshot_metadata', 'snapshots')):
        op.create_table(
            table,
            sa.Column('set_id', types.string(36), nullable=False),
            sa.Column('key', types.string(255), nullable=False),
            sa.Column('value', types.string(255), nullable=False),
            sa.PrimaryKeyConstraint('set_id', 'key', name=f'pk_{table}'),
            sa.ForeignKeyConstraint(['set_id'], [f'{owner}.id'], name=f'fk_{table}_set_id'),
            **options)
        op.create_index(f'ix_{table}_pair', table, ['key', 'value', 'set_id'])


def _set() -> list[sa.Column]:
    return [
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('user_id', types.string(255), nullable=True),
        sa.Column('kind', types.string(16), nullable=False),
        sa.Column('source_id', types.string(36), nullable=False),
        sa.Column('name', types.string(255), nullable=True),
        sa.Column('description', types.string(255), nullable=True),
        sa.Column('status', types.string(32), nullable=False),
        sa.Column('fail_reason', types.string(255), nullable=True),
        sa.Column('size_gb', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('data_timestamp', types.UtcDateTime(), nullable=True),
        sa.Column('is_consistent', sa.Boolean(), nullable=True),
        sa.Column('availability_zone', types.string(255), nullable=True),
        sa.Column('host', types.string(255), nullable=True),
        sa.Column('origin', types.string(32), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted', sa.Boolean(), nullable=False, server_default=sa.false()),
    ]
