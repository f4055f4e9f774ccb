# SPDX-License-Identifier: Apache-2.0
"""Use cases of the metadata of a backup, as the backup metadata specification has them.

Every change may name the version of the metadata that it was made against; when it is another one
by then, nothing is changed. Changes are told by ``backup.metadata.<verb>.start`` and ``.end``.
"""

from collections.abc import Callable, Collection, Mapping

from backupsvc import exception
from backupsvc.context import RequestContext
from backupsvc.objects.backup import Backup
from backupsvc.orchestration import backups, quota
from backupsvc.policies import backups as policies


def show(context: RequestContext, backup_id: str) -> Backup:
    """Return the backup whose metadata may be shown.

    :raises BackupNotFound: there is none, for this caller
    """
    backup = Backup.get_by_id(context, backup_id, kind=backups.VOLUME)
    context.authorize(policies.METADATA_SHOW, backup)
    return backup


def item(backup: Backup, key: str) -> str:
    """Return one value of a backup's metadata.

    :raises BackupMetadataNotFound: there is no such key
    """
    try:
        return backup.metadata[key]
    except KeyError:
        raise exception.BackupMetadataNotFound() from None


def merge(
    context: RequestContext, backup_id: str, pairs: Mapping[str, str],
    if_match: Collection[str] | None = None
) -> Backup:
    """Add pairs, and set those that are there.

    :raises MetadataChanged: its version is none of ``if_match``
    :raises MetadataLimitExceeded: there would be more pairs than a backup may have
    """
    return _change(
        context, backup_id, policies.METADATA_CREATE, 'create', if_match, sorted(pairs),
        lambda backup, version: backup.set_metadata(
            dict(pairs), replace=False, if_match=version, limit=quota.metadata_limit()))


def replace(
    context: RequestContext, backup_id: str, pairs: Mapping[str, str],
    if_match: Collection[str] | None = None
) -> Backup:
    """Make ``pairs`` the whole metadata.

    :raises MetadataChanged: its version is none of ``if_match``
    :raises MetadataLimitExceeded: they are more than a backup may have
    """
    return _change(
        context, backup_id, policies.METADATA_UPDATE, 'update', if_match, sorted(pairs),
        lambda backup, version: backup.set_metadata(
            dict(pairs), replace=True, if_match=version, limit=quota.metadata_limit()))


def set_item(
    context: RequestContext, backup_id: str, key: str, value: str,
    if_match: Collection[str] | None = None
) -> Backup:
    """Set one pair; a key that is not there is added, as for a volume's metadata.

    :raises MetadataChanged: its version is none of ``if_match``
    :raises MetadataLimitExceeded: it would be one more pair than a backup may have
    """
    return _change(
        context, backup_id, policies.METADATA_UPDATE, 'update', if_match, [key],
        lambda backup, version: backup.set_metadata(
            {key: value}, replace=False, if_match=version, limit=quota.metadata_limit()))


def delete_item(
    context: RequestContext, backup_id: str, key: str, if_match: Collection[str] | None = None
) -> None:
    """Remove one pair.

    :raises BackupMetadataNotFound: there is no such key
    :raises MetadataChanged: its version is none of ``if_match``
    """
    _change(
        context, backup_id, policies.METADATA_DELETE, 'delete', if_match, [key],
        lambda backup, version: backup.delete_metadata(key, if_match=version), must_exist=key)


def _change(
    context: RequestContext, backup_id: str, rule: str, verb: str,
    if_match: Collection[str] | None, keys: list[str],
    change: Callable[[Backup, str | None], None], must_exist: str | None = None
) -> Backup:
    """Authorise, check the precondition, change, and announce both ends.

    :param if_match: versions, one of which must be the present one; None asks for none
    :param must_exist: a key without which there is nothing to change
    """
    backup = Backup.get_by_id(context, backup_id, kind=backups.VOLUME)
    context.authorize(rule, backup)
    if must_exist is not None:
        item(backup, must_exist)
    version = None
    if if_match is not None:
        version = backup.metadata_version
        if version not in if_match:
            raise exception.MetadataChanged(backup_id=backup_id)
    backups.notify(context, f'backup.metadata.{verb}.start', backup, keys=keys)
    change(backup, version)
    backups.notify(context, f'backup.metadata.{verb}.end', backup, keys=keys)
    return backup
