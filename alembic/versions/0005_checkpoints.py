# SPDX-License-Identifier: Apache-2.0
"""Add checkpoints of a cluster, their partitions, and the log of what became of them."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration.table_options(op.get_bind())
    op.create_table(
        'checkpoint_counters',
        sa.Column('name', types.string(16), nullable=False),
        sa.Column('last_id', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('last_position', sa.BigInteger(), nullable=False, server_default='0'),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('name', name='pk_checkpoint_counters'),
        **options)

    op.create_table(
        'checkpoint_log',
        sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('checkpoint_id', sa.BigInteger(), nullable=False),
        sa.Column('event', types.string(16), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint('position', name='pk_checkpoint_log'),
        **options)
    op.create_index('ix_checkpoint_log_checkpoint', 'checkpoint_log', ['checkpoint_id'])

    op.create_table(
        'checkpoints',
        sa.Column('id', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('uuid', types.string(36), nullable=False),
        sa.Column('status', types.string(16), nullable=False),
        sa.Column('phase', types.string(16), nullable=False),
        sa.Column('round', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('position', sa.BigInteger(), nullable=True),
        sa.Column('data_timestamp', types.UtcDateTime(), nullable=True),
        sa.Column('is_scheduled', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint('id', name='pk_checkpoints'),
        sa.UniqueConstraint('uuid', name='uq_checkpoints_uuid'),
        **options)
    op.create_index('ix_checkpoints_list', 'checkpoints', ['deleted', 'id'])
    op.create_index('ix_checkpoints_status', 'checkpoints', ['status', 'deleted', 'id'])
    op.create_index('ix_checkpoints_deleted_at', 'checkpoints', ['deleted_at'])

    op.create_table(
        'checkpoint_partitions',
        sa.Column('checkpoint_id', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('partition_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('kind', types.string(16), nullable=False),
        sa.Column('source_id', types.string(36), nullable=False),
        sa.Column('share_id', types.string(36), nullable=False),
        sa.Column('host', types.string(255), nullable=False),
        sa.Column('broker_id', sa.Integer(), nullable=True),
        sa.Column('broker_version', types.string(36), nullable=True),
        sa.Column('status', types.string(16), nullable=False),
        sa.Column('fail_reason', types.string(255), nullable=True),
        sa.Column('step', types.string(16), nullable=True),
        sa.Column('step_round', sa.Integer(), nullable=True),
        sa.Column('members', types.Json(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('checkpoint_id', 'partition_id', name='pk_checkpoint_partitions'),
        sa.ForeignKeyConstraint(['checkpoint_id'], ['checkpoints.id'],
                                name='fk_checkpoint_partitions_checkpoint_id'),
        **options)
    op.create_index('ix_checkpoint_partitions_share', 'checkpoint_partitions', ['share_id'])
