# SPDX-License-Identifier: Apache-2.0
"""Add the counters of what managers have done."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    counts = ('tasks', 'within_1', 'within_10', 'within_60', 'within_300', 'within_1800',
              'within_7200', 'within_43200', 'bytes_read', 'bytes_stored', 'bytes_done')
    op.create_table(
        'work_counters',
        sa.Column('host', types.string(255), nullable=False),
        sa.Column('kind', types.string(32), nullable=False),
        sa.Column('outcome', types.string(16), nullable=False),
        sa.Column('seconds', sa.Double(), nullable=False, server_default='0'),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default='0')
          for name in counts),
        sa.PrimaryKeyConstraint('host', 'kind', 'outcome', name='pk_work_counters'),
        **migration.table_options(op.get_bind()))
