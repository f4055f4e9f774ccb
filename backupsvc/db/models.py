# SPDX-License-Identifier: Apache-2.0
"""The tables. The migrations in ``alembic/versions`` make them; a test compares the two."""

import sqlalchemy as sa

from backupsvc.db import types

metadata = sa.MetaData(naming_convention={
    'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
    'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
    'fk': 'fk_%(table_name)s_%(column_0_N_name)s',
    'pk': 'pk_%(table_name)s',
})

#: The highest value of an INTEGER column on all three databases.
INT_MAX = 2**31 - 1

_identifier = types.string(36)
_name = types.string(255)
_time = types.UtcDateTime()


def _id() -> sa.Column:
    return sa.Column('id', _identifier, primary_key=True)


def _made() -> list[sa.Column]:
    return [
        sa.Column('created_at', _time, nullable=False),
        sa.Column('updated_at', _time),
    ]


def _deletable() -> list[sa.Column]:
    return [
        sa.Column('deleted_at', _time),
        sa.Column('deleted', sa.Boolean, nullable=False, server_default=sa.false()),
    ]


def _count(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default='0')


backups = sa.Table(
    'backups', metadata,
    _id(),
    sa.Column('project_id', _name, nullable=False),
    sa.Column('user_id', _name),
    sa.Column('kind', types.string(16), nullable=False),
    sa.Column('source_id', _identifier, nullable=False),
    sa.Column('parent_id', _identifier),
    sa.Column('set_id', _identifier),
    sa.Column('name', _name),
    sa.Column('description', _name),
    sa.Column('status', types.string(32), nullable=False),
    sa.Column('fail_reason', _name),
    sa.Column('container', _name),
    sa.Column('repository', types.string(64)),
    sa.Column('repository_project_id', _name),
    sa.Column('manifest_id', _identifier),
    sa.Column('size_gb', sa.Integer, nullable=False, server_default='0'),
    _count('logical_bytes'),
    _count('read_bytes'),
    _count('new_bytes'),
    _count('stored_bytes'),
    sa.Column('object_count', sa.Integer, nullable=False, server_default='0'),
    sa.Column('snapshot_id', _identifier),
    sa.Column('data_timestamp', _time),
    sa.Column('availability_zone', _name),
    sa.Column('host', _name),
    sa.Column('encryption_key_id', _name),
    sa.Column('origin', types.string(32)),
    sa.Column('source_facts', types.Json),
    sa.Column('change_token', sa.Text),
    *_made(),
    *_deletable(),
    # The default list of a project, and of all projects.
    sa.Index('ix_backups_project_list', 'project_id', 'deleted', 'created_at', 'id'),
    sa.Index('ix_backups_list', 'deleted', 'created_at', 'id'),
    # The latest backup of a source; the list filtered by volume.
    sa.Index('ix_backups_source', 'source_id', 'project_id', 'deleted', 'status',
             'data_timestamp'),
    sa.Index('ix_backups_parent', 'parent_id', 'deleted'),
    sa.Index('ix_backups_manifest', 'manifest_id', 'deleted'),
    sa.Index('ix_backups_set', 'set_id', 'deleted'),
    # The purge.
    sa.Index('ix_backups_deleted_at', 'deleted_at'),
)

backup_metadata = sa.Table(
    'backup_metadata', metadata,
    sa.Column('created_at', _time, nullable=False),
    sa.Column('updated_at', _time),
    sa.Column('deleted_at', _time),
    sa.Column('id', sa.Integer, primary_key=True, autoincrement=True),
    sa.Column('backup_id', _identifier, sa.ForeignKey('backups.id'), nullable=False),
    sa.Column('key', _name, nullable=False),
    sa.Column('value', _name, nullable=False),
    sa.Column('deleted', sa.Boolean, nullable=False, server_default=sa.false()),
    # Setting a deleted key again revives its row, so one row per key is enough.
    sa.UniqueConstraint('backup_id', 'key', name='uq_backup_metadata_backup_id_key'),
    # The filter by pairs.
    sa.Index('ix_backup_metadata_pair', 'key', 'value', 'backup_id'),
)

tasks = sa.Table(
    'tasks', metadata,
    _id(),
    sa.Column('kind', types.string(32), nullable=False),
    sa.Column('resource_id', _identifier, nullable=False),
    # resource_id while the task runs, else null: two tasks of one resource never run at once.
    sa.Column('running_resource_id', _identifier),
    sa.Column('project_id', _name),
    sa.Column('user_id', _name),
    sa.Column('request_id', _name),
    sa.Column('state', types.string(16), nullable=False),
    sa.Column('phase', types.string(64)),
    sa.Column('host_affinity', _name),
    sa.Column('owner', _name),
    sa.Column('lease_expires_at', _time),
    sa.Column('attempt', sa.Integer, nullable=False, server_default='0'),
    sa.Column('run_after', _time, nullable=False),
    sa.Column('arguments', types.Json),
    sa.Column('resume_point', types.Json),
    _count('bytes_total'),
    _count('bytes_done'),
    _count('bytes_read'),
    _count('bytes_new'),
    _count('bytes_stored'),
    sa.Column('cancel_requested', sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column('error', sa.Text),
    sa.Column('started_at', _time),
    sa.Column('finished_at', _time),
    *_made(),
    sa.UniqueConstraint('running_resource_id', name='uq_tasks_running_resource_id'),
    sa.Index('ix_tasks_state_run_after', 'state', 'run_after'),
    sa.Index('ix_tasks_resource', 'resource_id', 'state'),
    # The purge.
    sa.Index('ix_tasks_finished_at', 'finished_at'),
)

services = sa.Table(
    'services', metadata,
    sa.Column('id', sa.Integer, primary_key=True, autoincrement=True),
    sa.Column('host', _name, nullable=False),
    sa.Column('binary', _name, nullable=False),
    sa.Column('topic', _name),
    sa.Column('availability_zone', _name),
    sa.Column('rpc_version', types.string(36)),
    sa.Column('object_version', types.string(36)),
    sa.Column('report_count', sa.Integer, nullable=False, server_default='0'),
    sa.Column('last_seen_at', _time, nullable=False),
    sa.Column('disabled', sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column('disabled_reason', _name),
    *_made(),
    sa.UniqueConstraint('host', 'binary', name='uq_services_host_binary'),
)

quotas = sa.Table(
    'quotas', metadata,
    sa.Column('project_id', _name, primary_key=True),
    sa.Column('resource', _name, primary_key=True),
    sa.Column('hard_limit', sa.Integer, nullable=False),
    *_made(),
)

quota_classes = sa.Table(
    'quota_classes', metadata,
    sa.Column('class_name', _name, primary_key=True),
    sa.Column('resource', _name, primary_key=True),
    sa.Column('hard_limit', sa.Integer, nullable=False),
    *_made(),
)

quota_usages = sa.Table(
    'quota_usages', metadata,
    sa.Column('project_id', _name, primary_key=True),
    sa.Column('resource', _name, primary_key=True),
    _count('in_use'),
    *_made(),
)

messages = sa.Table(
    'messages', metadata,
    _id(),
    sa.Column('project_id', _name, nullable=False),
    sa.Column('request_id', _name),
    sa.Column('resource_type', _name),
    sa.Column('resource_id', _identifier),
    sa.Column('event_id', _name, nullable=False),
    sa.Column('action_id', types.string(10)),
    sa.Column('detail_id', types.string(10)),
    sa.Column('message_level', types.string(16), nullable=False),
    sa.Column('expires_at', _time),
    *_made(),
    sa.Index('ix_messages_project_list', 'project_id', 'created_at', 'id'),
    sa.Index('ix_messages_expires_at', 'expires_at'),
)

repositories = sa.Table(
    'repositories', metadata,
    _id(),
    sa.Column('driver', types.string(64), nullable=False),
    sa.Column('project_id', _name, nullable=False),
    sa.Column('container', _name, nullable=False),
    # Backups deleted since the last prune began: what a prune could win space from.
    sa.Column('deleted_backups', sa.Integer, nullable=False, server_default='0'),
    sa.Column('last_deleted_at', _time),
    sa.Column('last_pruned_at', _time),
    sa.Column('last_verified_at', _time),
    *_made(),
    sa.UniqueConstraint('driver', 'project_id', 'container',
                        name='uq_repositories_driver_project_id_container'),
)

# Numbers of things for dialects whose ids are integers. Rows stay when the thing is deleted, so
# that no number ever means another one.
id_aliases = sa.Table(
    'id_aliases', metadata,
    sa.Column('project_id', _name, primary_key=True),
    sa.Column('kind', types.string(16), primary_key=True),
    sa.Column('number', sa.Integer, primary_key=True, autoincrement=False),
    sa.Column('target_id', _identifier, nullable=False),
    sa.Column('created_at', _time, nullable=False),
    sa.UniqueConstraint('project_id', 'kind', 'target_id',
                        name='uq_id_aliases_project_id_kind_target_id'),
)

# The last number given; whoever gives another one locks the row.
id_counters = sa.Table(
    'id_counters', metadata,
    sa.Column('project_id', _name, primary_key=True),
    sa.Column('kind', types.string(16), primary_key=True),
    sa.Column('last_number', sa.Integer, nullable=False, server_default='0'),
    *_made(),
)


def _set() -> list[sa.Column]:
    """Return the columns of what is made of several volumes at one moment."""
    return [
        _id(),
        sa.Column('project_id', _name, nullable=False),
        sa.Column('user_id', _name),
        sa.Column('kind', types.string(16), nullable=False),
        # What the members are parts of: an instance.
        sa.Column('source_id', _identifier, nullable=False),
        sa.Column('name', _name),
        sa.Column('description', _name),
        sa.Column('status', types.string(32), nullable=False),
        sa.Column('fail_reason', _name),
        sa.Column('size_gb', sa.Integer, nullable=False, server_default='0'),
        # The moment, and whether nothing wrote at it.
        sa.Column('data_timestamp', _time),
        sa.Column('is_consistent', sa.Boolean),
        sa.Column('availability_zone', _name),
        sa.Column('host', _name),
        sa.Column('origin', types.string(32)),
        *_made(),
        *_deletable(),
    ]


# The members are backups with its id as their set_id.
backup_sets = sa.Table(
    'backup_sets', metadata,
    *_set(),
    sa.Column('container', _name),
    sa.Column('is_incremental', sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index('ix_backup_sets_project_list', 'project_id', 'deleted', 'created_at', 'id'),
    sa.Index('ix_backup_sets_list', 'deleted', 'created_at', 'id'),
    sa.Index('ix_backup_sets_source', 'source_id', 'deleted', 'created_at'),
    sa.Index('ix_backup_sets_deleted_at', 'deleted_at'),
)

# Snapshots of instances; those of volumes are the volume driver's.
snapshots = sa.Table(
    'snapshots', metadata,
    *_set(),
    sa.Index('ix_snapshots_project_list', 'project_id', 'deleted', 'created_at', 'id'),
    sa.Index('ix_snapshots_list', 'deleted', 'created_at', 'id'),
    sa.Index('ix_snapshots_source', 'source_id', 'deleted', 'created_at'),
    sa.Index('ix_snapshots_deleted_at', 'deleted_at'),
)

snapshot_members = sa.Table(
    'snapshot_members', metadata,
    sa.Column('set_id', _identifier, sa.ForeignKey('snapshots.id'), primary_key=True),
    sa.Column('volume_id', _identifier, primary_key=True),
    sa.Column('position', sa.Integer, nullable=False),
    sa.Column('device', _name),
    sa.Column('size_gb', sa.Integer, nullable=False, server_default='0'),
    # The volume driver's snapshot, once it is taken.
    sa.Column('snapshot_id', _identifier),
    sa.Index('ix_snapshot_members_snapshot', 'snapshot_id'),
)


def _set_metadata(table: str, owner: str) -> sa.Table:
    return sa.Table(
        table, metadata,
        sa.Column('set_id', _identifier, sa.ForeignKey(f'{owner}.id'), primary_key=True),
        sa.Column('key', _name, primary_key=True),
        sa.Column('value', _name, nullable=False),
        # The filter by pairs.
        sa.Index(f'ix_{table}_pair', 'key', 'value', 'set_id'),
    )


backup_set_metadata = _set_metadata('backup_set_metadata', 'backup_sets')
snapshot_metadata = _set_metadata('snapshot_metadata', 'snapshots')

db_instances = sa.Table(
    'db_instances', metadata,
    _id(),
    sa.Column('project_id', _name, nullable=False),
    sa.Column('user_id', _name),
    sa.Column('name', _name, nullable=False),
    sa.Column('status', types.string(32), nullable=False),
    # The task that a passing status is for: a backup.
    sa.Column('holder', _identifier),
    sa.Column('fail_reason', _name),
    sa.Column('driver', types.string(64), nullable=False),
    sa.Column('datastore', types.string(64), nullable=False),
    sa.Column('datastore_version', types.string(64), nullable=False),
    sa.Column('flavor_id', _name, nullable=False),
    sa.Column('volume_gb', sa.Integer, nullable=False),
    # The volume driver's, where the data lie on one.
    sa.Column('volume_id', _identifier),
    sa.Column('availability_zone', _name),
    # The manager that runs the server, and where clients connect.
    sa.Column('host', _name, nullable=False),
    sa.Column('address', _name),
    sa.Column('port', sa.Integer),
    sa.Column('restored_from_id', _identifier),
    *_made(),
    *_deletable(),
    # The list of a project, which is by id.
    sa.Index('ix_db_instances_project_list', 'project_id', 'deleted', 'id'),
    # What a manager has to keep running.
    sa.Index('ix_db_instances_host', 'host', 'deleted'),
    sa.Index('ix_db_instances_deleted_at', 'deleted_at'),
)

# Groups and their rules go with their instance, at once.
security_groups = sa.Table(
    'security_groups', metadata,
    _id(),
    sa.Column('project_id', _name, nullable=False),
    sa.Column('user_id', _name),
    sa.Column('name', _name, nullable=False),
    sa.Column('description', _name),
    sa.Column('instance_id', _identifier, sa.ForeignKey('db_instances.id'), nullable=False),
    *_made(),
    sa.UniqueConstraint('instance_id', name='uq_security_groups_instance_id'),
    sa.Index('ix_security_groups_project_list', 'project_id', 'id'),
)

security_group_rules = sa.Table(
    'security_group_rules', metadata,
    _id(),
    sa.Column('group_id', _identifier, sa.ForeignKey('security_groups.id'), nullable=False),
    sa.Column('protocol', types.string(16), nullable=False),
    sa.Column('from_port', sa.Integer, nullable=False),
    sa.Column('to_port', sa.Integer, nullable=False),
    sa.Column('cidr', types.string(64), nullable=False),
    *_made(),
    sa.UniqueConstraint('group_id', 'cidr', name='uq_security_group_rules_group_id_cidr'),
)

# One row for the cluster: the last id that was spent on a checkpoint, and the last position of the
# log below.
checkpoint_counters = sa.Table(
    'checkpoint_counters', metadata,
    sa.Column('name', types.string(16), primary_key=True),
    _count('last_id'),
    _count('last_position'),
    *_made(),
)

# What has become of checkpoints, one event after the other; never removed.
checkpoint_log = sa.Table(
    'checkpoint_log', metadata,
    sa.Column('position', sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column('checkpoint_id', sa.BigInteger, nullable=False),
    sa.Column('event', types.string(16), nullable=False),
    sa.Column('created_at', _time, nullable=False),
    sa.Index('ix_checkpoint_log_checkpoint', 'checkpoint_id'),
)

checkpoints = sa.Table(
    'checkpoints', metadata,
    sa.Column('id', sa.BigInteger, primary_key=True, autoincrement=False),
    # What tasks of the checkpoint as a whole have as their resource.
    sa.Column('uuid', _identifier, nullable=False),
    sa.Column('status', types.string(16), nullable=False),
    # How far it is, and how often that was begun anew.
    sa.Column('phase', types.string(16), nullable=False),
    sa.Column('round', sa.Integer, nullable=False, server_default='0'),
    # The place of the moment in the log, and its time.
    sa.Column('position', sa.BigInteger),
    sa.Column('data_timestamp', _time),
    sa.Column('is_scheduled', sa.Boolean, nullable=False, server_default=sa.false()),
    *_made(),
    *_deletable(),
    sa.UniqueConstraint('uuid', name='uq_checkpoints_uuid'),
    sa.Index('ix_checkpoints_list', 'deleted', 'id'),
    sa.Index('ix_checkpoints_status', 'status', 'deleted', 'id'),
    sa.Index('ix_checkpoints_deleted_at', 'deleted_at'),
)

# The partitions that one manager backs up are its share. The backups of a share have its id as
# their set_id; its task has it as its resource.
checkpoint_partitions = sa.Table(
    'checkpoint_partitions', metadata,
    sa.Column('checkpoint_id', sa.BigInteger, sa.ForeignKey('checkpoints.id'), primary_key=True,
              autoincrement=False),
    sa.Column('partition_id', sa.Integer, primary_key=True, autoincrement=False),
    sa.Column('kind', types.string(16), nullable=False),
    sa.Column('source_id', _identifier, nullable=False),
    sa.Column('share_id', _identifier, nullable=False),
    sa.Column('host', _name, nullable=False),
    sa.Column('broker_id', sa.Integer),
    sa.Column('broker_version', types.string(36)),
    sa.Column('status', types.string(16), nullable=False),
    sa.Column('fail_reason', _name),
    # The last step of the share, and the round that it was made in.
    sa.Column('step', types.string(16)),
    sa.Column('step_round', sa.Integer),
    # Of each volume: its id, the driver's snapshot, the backup.
    sa.Column('members', types.Json),
    *_made(),
    sa.Index('ix_checkpoint_partitions_share', 'share_id'),
)

# Holds on what is another service's, for volume drivers that cannot keep them there.
volume_holds = sa.Table(
    'volume_holds', metadata,
    sa.Column('resource_id', _identifier, primary_key=True),
    sa.Column('is_snapshot', sa.Boolean, nullable=False),
    sa.Column('holder', _identifier, nullable=False),
    # What is shown, and what is to be shown after it.
    sa.Column('status', types.string(32), nullable=False),
    sa.Column('previous_status', types.string(32), nullable=False),
    sa.Column('is_unwritten', sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column('since', _time, nullable=False),
)

# What a manager has done since it was set up. Each adds to its own rows.
work_counters = sa.Table(
    'work_counters', metadata,
    sa.Column('host', _name, primary_key=True),
    sa.Column('kind', types.string(32), primary_key=True),
    sa.Column('outcome', types.string(16), primary_key=True),
    sa.Column('seconds', sa.Double, nullable=False, server_default='0'),
    # Tasks in all, and those that took at most so many seconds.
    *(_count(name) for name in (
        'tasks', 'within_1', 'within_10', 'within_60', 'within_300', 'within_1800',
        'within_7200', 'within_43200', 'bytes_read', 'bytes_stored', 'bytes_done')),
)
