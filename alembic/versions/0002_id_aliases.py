# SPDX-License-Identifier: Apache-2.0
"""Add the integers that stand for backups and volumes in dialects without uuids."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration.table_options(op.get_bind())
    op.create_table(
        'id_aliases',
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('kind', types.string(16), nullable=False),
        sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('target_id', types.string(36), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint('project_id', 'kind', 'number', name='pk_id_aliases'),
        sa.UniqueConstraint('project_id', 'kind', 'target_id',
                            name='uq_id_aliases_project_id_kind_target_id'),
        **options)

    op.create_table(
        'id_counters',
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('kind', types.string(16), nullable=False),
        sa.Column('last_number', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('project_id', 'kind', name='pk_id_counters'),
        **options)
