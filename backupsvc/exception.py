# SPDX-License-Identifier: Apache-2.0
"""Domain errors, each under one of seven categories.

No HTTP here: ``wsgi/faults.py`` maps categories to statuses. The default text of an error is the
one that clients of Cinder v3 know; a dialect whose texts differ has a table of its own in its
``faults.py``, keyed by class and filled from the same attributes.
"""

from typing import Any


class BackupsvcError(Exception):
    """Base of every domain error.

    Keyword arguments fill ``message_format`` and stay on the error as ``details``, for a dialect's
    own wording.
    """

    message_format = 'An unknown error occurred.'

    def __init__(self, message: str | None = None, **details: Any):
        self.details = details
        self.message = message if message is not None else self.message_format % details
        super().__init__(self.message)


class NotFound(BackupsvcError):
    """What was asked for does not exist, or is not visible to the caller."""

    message_format = 'The resource could not be found.'


class Invalid(BackupsvcError):
    """The request is wrong whatever the state of anything is, or asks what this state forbids."""

    message_format = 'Unacceptable parameters.'


class Forbidden(BackupsvcError):
    """The caller may not do this."""

    message_format = 'You are not authorized to complete this action.'


class Conflict(BackupsvcError):
    """Somebody else changed the same thing, or it exists already."""

    message_format = 'The resource changed while the request was worked on; try again.'


class OverQuota(BackupsvcError):
    """A quota of the project does not allow this. Details: resource, requested, limit, in_use."""

    message_format = 'Quota exceeded for resources: %(resource)s'


class Unavailable(BackupsvcError):
    """Something that we depend on does not answer now."""

    message_format = 'The service is currently unable to handle the request.'


class Unsupported(BackupsvcError):
    """This deployment or driver cannot do that at all."""

    message_format = 'Operation not supported.'


class PolicyNotAuthorized(Forbidden):
    message_format = "Policy doesn't allow %(action)s to be performed."


class InvalidInput(Invalid):
    message_format = 'Invalid input received: %(reason)s'


class BackupNotFound(NotFound):
    message_format = 'Backup %(backup_id)s could not be found.'


class BackupMetadataNotFound(NotFound):
    message_format = 'Metadata item was not found'


class VolumeNotFound(NotFound):
    message_format = 'Volume %(volume_id)s could not be found.'


class SnapshotNotFound(NotFound):
    message_format = 'Snapshot %(snapshot_id)s could not be found.'


class InvalidBackup(Invalid):
    message_format = 'Invalid backup: %(reason)s'


class InvalidVolume(Invalid):
    message_format = 'Invalid volume: %(reason)s'


class SourceVolumeNotReady(InvalidVolume):
    """The status of a volume does not allow that it is backed up."""


class TargetVolumeTooSmall(InvalidVolume):
    """A backup does not fit into the volume that it is to be restored to."""


class InvalidSnapshot(Invalid):
    message_format = 'Invalid snapshot: %(reason)s'


class BackupChanged(Conflict):
    """A compare-and-swap of a backup's status met another one.

    Details: backup_id, expected, status.
    """

    message_format = 'Backup %(backup_id)s is in status "%(status)s".'


class LeaseLost(Conflict):
    """A task is no longer ours: its lease ran out and somebody else has it, or it has ended."""

    message_format = 'The lease of task %(task_id)s is lost.'


class DriverNotFound(Unsupported):
    message_format = 'No %(family)s driver is called "%(name)s"; installed are: %(installed)s.'


class DriverFailed(Unavailable):
    """A driver could not do its work; the reason is fit for a user's eyes."""

    message_format = '%(reason)s'


class BackupLimitExceeded(OverQuota):
    """The project may not have more backups. Details as OverQuota's."""

    message_format = 'Maximum number of backups allowed (%(limit)s) exceeded'


class VolumeBackupSizeExceedsAvailableQuota(OverQuota):
    """The project may not back up more gibibytes. Details as OverQuota's."""

    message_format = (
        'Requested backup exceeds allowed Backup gigabytes quota. Requested %(requested)sG, '
        'quota is %(limit)sG and %(in_use)sG has been consumed.')


class MetadataLimitExceeded(OverQuota):
    """A backup may not have more pairs of metadata. Details: limit."""

    message_format = 'Maximum number of metadata items exceeds %(limit)s'


class MetadataChanged(Conflict):
    """Metadata is no longer what the caller's precondition names."""

    message_format = 'The metadata of backup %(backup_id)s has changed in the meantime.'


class ServiceNotFound(Unavailable):
    """No live process does this work."""

    message_format = 'Service %(service)s could not be found.'


class VolumeTypeNotFound(NotFound):
    message_format = 'Volume type %(volume_type)s could not be found.'


class VolumeMetadataNotFound(NotFound):
    message_format = 'Volume %(volume_id)s has no metadata with key %(key)s.'


class SnapshotMetadataNotFound(NotFound):
    message_format = 'Snapshot %(snapshot_id)s has no metadata with key %(key)s.'


class VolumeLimitExceeded(OverQuota):
    """The project may not have more volumes. Details as OverQuota's."""

    message_format = (
        "Maximum number of volumes allowed (%(limit)s) exceeded for quota '%(resource)s'.")


class SnapshotLimitExceeded(OverQuota):
    """The project may not have more snapshots. Details as OverQuota's."""

    message_format = 'Maximum number of snapshots allowed (%(limit)s) exceeded'


class VolumeSizeExceedsAvailableQuota(OverQuota):
    """The volumes and snapshots of the project may not become larger. Details as OverQuota's."""

    message_format = (
        'Requested volume or snapshot exceeds allowed %(resource)s quota. Requested '
        '%(requested)sG, quota is %(limit)sG and %(in_use)sG has been consumed.')


class TaskNotFound(NotFound):
    message_format = 'Task %(task_id)s could not be found.'


class MessageNotFound(NotFound):
    message_format = 'Message %(message_id)s could not be found.'


class BackupExists(Invalid):
    message_format = 'Invalid backup: Backup already exists in database.'


class ServiceHostNotFound(NotFound):
    message_format = 'Service %(binary)s could not be found on host %(host)s.'


class VolumeTypeExists(Conflict):
    message_format = 'Volume Type %(name)s already exists.'


class VolumeTypeInUse(Invalid):
    message_format = 'Target volume type is still in use.'


class TransferNotFound(NotFound):
    message_format = 'Transfer %(transfer_id)s could not be found.'


class InstanceNotFound(NotFound):
    message_format = 'Instance %(instance_id)s could not be found.'


class InvalidInstance(Conflict):
    """The state of an instance forbids what was asked. Details: reason, status."""

    message_format = 'Invalid instance: %(reason)s'


class DatabaseServerNotFound(NotFound):
    """The driver has no server of this instance on this host. Details: instance_id."""

    message_format = 'The database server of instance %(instance_id)s could not be found.'


class DatabaseFlavorNotFound(NotFound):
    message_format = 'Flavor %(flavor_id)s could not be found.'


class DatabaseNotFound(NotFound):
    message_format = 'Database %(name)s could not be found.'


class DatabaseExists(Invalid):
    message_format = 'Database %(name)s already exists.'


class DatabaseUserNotFound(NotFound):
    """Details: name, host."""

    message_format = 'User %(name)s could not be found.'


class DatabaseUserExists(Invalid):
    """Details: name, host."""

    message_format = 'User %(name)s@%(host)s already exists.'


class DumpDamaged(Invalid):
    """A dump to be loaded is not what was stored. Details: reason."""

    message_format = 'The backup is damaged: %(reason)s'


class InstanceBackupNotFound(NotFound):
    message_format = 'Instance backup %(id)s could not be found.'


class InstanceSnapshotNotFound(NotFound):
    message_format = 'Instance snapshot %(id)s could not be found.'


class SetChanged(Conflict):
    """A compare-and-swap of a set's status met another one. Details: id, expected, status."""

    message_format = '%(id)s is in status "%(status)s".'


class BackupInSet(InvalidBackup):
    """A member goes with its set only. Details: backup_id, set_id."""

    message_format = (
        'Invalid backup: %(backup_id)s belongs to the instance backup %(set_id)s; delete that.')


class BackupInCheckpoint(InvalidBackup):
    """A backup of a checkpoint goes with it only. Details: backup_id, checkpoint_id."""

    message_format = (
        'Invalid backup: %(backup_id)s belongs to the checkpoint %(checkpoint_id)s of a cluster; '
        'its operator deletes that.')


class CheckpointsNotConfigured(Invalid):
    message_format = (
        'No partitions are configured that checkpoints could be taken of; see [actuator] '
        'partitions.')


class CheckpointIdMissing(Invalid):
    message_format = 'A backupId must be provided and it must be > 0'


class CheckpointIdGiven(Invalid):
    message_format = (
        'No backupId may be provided: checkpoints are taken continuously, and their ids are made '
        'here.')


class CheckpointIdTaken(Conflict):
    """An id that is not above the latest one. Details: requested, latest. The text, with its
    last space, is that of Zeebe.
    """

    message_format = (
        'Requested backup has id %(requested)s. The latest backup has id %(latest)s. Id of new '
        'backups must be higher than the previous one. ')


class CheckpointNotFound(NotFound):
    message_format = 'Backup with id %(id)s does not exist'


class InvalidCheckpoint(Invalid):
    """A checkpoint cannot be restored as it is. Details: id, reason."""

    message_format = 'Checkpoint %(id)s cannot be restored: %(reason)s.'


class CheckpointChanged(Conflict):
    """A checkpoint is no longer in the phase or round that a manager works on. Details: id."""

    message_format = 'Checkpoint %(id)s is worked on anew, or no longer.'


class ManagersSaturated(Unavailable):
    """Managers have more work than they get done. Details: hosts."""

    message_format = (
        'The managers %(hosts)s have too much work waiting to take a backup now; try again later.')


class MessageNotSent(Unavailable):
    """A manager cannot be sent a message. Details: reason."""

    message_format = '%(reason)s'


class CallTimedOut(Unavailable):
    """A manager was sent a message and did not answer in time. Details: host, seconds."""

    message_format = (
        'Request from gateway to broker timed out. The manager %(host)s did not answer within '
        '%(seconds)s s.')


class DatabaseInstanceNotFound(NotFound):
    message_format = 'Instance %(instance_id)s cannot be found.'


class DatabaseInstanceBusy(Conflict):
    """The status of a database instance forbids what was asked. Details: instance_id, status."""

    message_format = (
        'Instance %(instance_id)s is not currently available for an action to be performed '
        '(instance status was %(status)s).')


class DatabaseBackupNotComplete(Conflict):
    message_format = 'Unable to create instance because backup %(backup_id)s is not completed.'


class DatabaseBackupBusy(Conflict):
    """A backup, or one made from it, is being made or removed. Details: backup_id, status."""

    message_format = (
        'Backup %(backup_id)s is not currently available for an action to be performed '
        '(backup status was %(status)s).')


class DatabaseBackupTooLarge(Forbidden):
    """Details: backup_gb, volume_gb."""

    message_format = (
        'Backup is too large for given flavor or volume. Backup size: %(backup_gb)s GBs. '
        'Available size: %(volume_gb)s GBs.')


class DatabaseBackupDamaged(Conflict):
    message_format = 'The stored data of backup %(backup_id)s is not what was stored: %(reason)s.'


class SecurityGroupNotFound(NotFound):
    message_format = 'Security Group with id: %(group_id)s not found.'


class SecurityGroupRuleNotFound(NotFound):
    message_format = 'Security Group Rule with id: %(rule_id)s not found.'


class SecurityGroupRuleExists(Invalid):
    message_format = 'The security group has a rule for %(cidr)s already.'


class DatabaseQuotaExceeded(OverQuota):
    """Details as OverQuota's; the resource is called as users of databases know it."""

    message_format = "Quota exceeded for resources: ['%(resource)s']."


class RateLimitExceeded(OverQuota):
    """More requests than allowed. Details: verb, limit, unit; ``retry_after`` in seconds."""

    message_format = (
        'Only %(limit)s %(verb)s request(s) can be made every %(unit)s; try again later.')

    def __init__(self, message: str | None = None, *, retry_after: int = 0, **details: Any):
        super().__init__(message, **details)
        self.retry_after = retry_after
