# SPDX-License-Identifier: Apache-2.0
"""Add the holds on volumes of another service."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'volume_holds',
        sa.Column('resource_id', types.string(36), nullable=False),
        sa.Column('is_snapshot', sa.Boolean(), nullable=False),
        sa.Column('holder', types.string(36), nullable=False),
        sa.Column('status', types.string(32), nullable=False),
        sa.Column('previous_status', types.string(32), nullable=False),
        sa.Column('is_unwritten', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column('since', types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint('resource_id', name='pk_volume_holds'),
        **migration.table_options(op.get_bind()))
