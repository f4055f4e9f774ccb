# SPDX-License-Identifier: Apache-2.0
"""Add the servers that users keep databases on, and who may connect to them."""

import sqlalchemy as sa
from alembic import op

from backupsvc.db import migration, types

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration.table_options(op.get_bind())
    op.create_table(
        'db_instances',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('user_id', types.string(255), nullable=True),
        sa.Column('name', types.string(255), nullable=False),
        sa.Column('status', types.string(32), nullable=False),
        sa.Column('holder', types.string(36), nullable=True),
        sa.Column('fail_reason', types.string(255), nullable=True),
        sa.Column('driver', types.string(64), nullable=False),
        sa.Column('datastore', types.string(64), nullable=False),
        sa.Column('datastore_version', types.string(64), nullable=False),
        sa.Column('flavor_id', types.string(255), nullable=False),
        sa.Column('volume_gb', sa.Integer(), nullable=False),
        sa.Column('volume_id', types.string(36), nullable=True),
        sa.Column('availability_zone', types.string(255), nullable=True),
        sa.Column('host', types.string(255), nullable=False),
        sa.Column('address', types.string(255), nullable=True),
        sa.Column('port', sa.Integer(), nullable=True),
        sa.Column('restored_from_id', types.string(36), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('deleted', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint('id', name='pk_db_instances'),
        **options)
    op.create_index('ix_db_instances_project_list', 'db_instances',
                    ['project_id', 'deleted', 'id'])
    op.create_index('ix_db_instances_host', 'db_instances', ['host', 'deleted'])
    op.create_index('ix_db_instances_deleted_at', 'db_instances', ['deleted_at'])

    op.create_table(
        'security_groups',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('project_id', types.string(255), nullable=False),
        sa.Column('user_id', types.string(255), nullable=True),
        sa.Column('name', types.string(255), nullable=False),
        sa.Column('description', types.string(255), nullable=True),
        sa.Column('instance_id', types.string(36), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_security_groups'),
        sa.ForeignKeyConstraint(['instance_id'], ['db_instances.id'],
                                name='fk_security_groups_instance_id'),
        sa.UniqueConstraint('instance_id', name='uq_security_groups_instance_id'),
        **options)
    op.create_index('ix_security_groups_project_list', 'security_groups', ['project_id', 'id'])

    op.create_table(
        'security_group_rules',
        sa.Column('id', types.string(36), nullable=False),
        sa.Column('group_id', types.string(36), nullable=False),
        sa.Column('protocol', types.string(16), nullable=False),
        sa.Column('from_port', sa.Integer(), nullable=False),
        sa.Column('to_port', sa.Integer(), nullable=False),
        sa.Column('cidr', types.string(64), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_security_group_rules'),
        sa.ForeignKeyConstraint(['group_id'], ['security_groups.id'],
                                name='fk_security_group_rules_group_id'),
        sa.UniqueConstraint('group_id', 'cidr', name='uq_security_group_rules_group_id_cidr'),
        **options)
