# SPDX-License-Identifier: Apache-2.0
"""Metadata of a backup: pairs that compare exactly, changed whole or not at all."""

import threading

import pytest

from backupsvc import exception
from backupsvc.objects.backup import Backup
from tests.functional.db import records


def _metadata(context, backup):
    return Backup.get_by_id(context, backup.id).metadata


def test_merge_adds_and_sets(context):
    backup = records.create_backup(context, metadata={'a': '1', 'b': '2'})
    backup.set_metadata({'b': '3', 'c': '4'})
    assert backup.metadata == _metadata(context, backup) == {'a': '1', 'b': '3', 'c': '4'}


def test_replace_leaves_nothing_else(context):
    backup = records.create_backup(context, metadata={'a': '1', 'b': '2'})
    backup.set_metadata({'b': '3'}, replace=True)
    assert _metadata(context, backup) == {'b': '3'}
    backup.set_metadata({}, replace=True)
    assert _metadata(context, backup) == {}


def test_a_deleted_key_can_be_set_again(context):
    backup = records.create_backup(context, metadata={'a': '1'})
    backup.delete_metadata('a')
    assert _metadata(context, backup) == {}
    backup.set_metadata({'a': '2'})
    assert _metadata(context, backup) == {'a': '2'}


def test_delete_of_a_missing_key_says_so(context):
    backup = records.create_backup(context, metadata={'a': '1'})
    for key in ('A', 'a ', 'b'):
        with pytest.raises(exception.BackupMetadataNotFound):
            backup.delete_metadata(key)
    backup.delete_metadata('a')
    with pytest.raises(exception.BackupMetadataNotFound):
        backup.delete_metadata('a')


def test_keys_that_look_alike_are_different_keys(context):
    pairs = {'key': '1', 'Key': '2', 'key ': '3', 'kéy': '4', 'ke\u0301y': '5', '\U0001f4be': '6',
             '\U0001f4bf': '7'}
    backup = records.create_backup(context, metadata=pairs)
    assert _metadata(context, backup) == pairs


def test_a_version_that_is_right_lets_the_change_pass(context):
    backup = records.create_backup(context, metadata={'a': '1'})
    version = backup.metadata_version
    backup.set_metadata({'a': '2'}, if_match=version)
    assert backup.metadata_version != version
    backup.delete_metadata('a', if_match=backup.metadata_version)
    assert _metadata(context, backup) == {}


def test_a_version_that_is_wrong_changes_nothing(context):
    backup = records.create_backup(context, metadata={'a': '1'})
    version = backup.metadata_version
    Backup.get_by_id(context, backup.id).set_metadata({'b': '2'})
    with pytest.raises(exception.MetadataChanged):
        backup.set_metadata({'a': '3'}, if_match=version)
    with pytest.raises(exception.MetadataChanged):
        backup.delete_metadata('a', if_match=version)
    assert _metadata(context, backup) == {'a': '1', 'b': '2'}


def test_equal_pairs_have_equal_versions(context):
    one = records.create_backup(context, metadata={'a': '1', 'b': '2'})
    two = records.create_backup(context, metadata={'b': '2', 'a': '1'})
    other = records.create_backup(context, metadata={'a': '1,b=2'})
    assert one.metadata_version == two.metadata_version != other.metadata_version


def test_metadata_of_another_project_cannot_be_changed(context, stranger):
    backup = records.create_backup(context, metadata={'a': '1'})
    seen = Backup(stranger, id=backup.id)
    with pytest.raises(exception.BackupNotFound):
        seen.set_metadata({'a': '2'})
    with pytest.raises(exception.BackupNotFound):
        seen.delete_metadata('a')
    assert _metadata(context, backup) == {'a': '1'}


def test_metadata_of_a_deleted_backup_cannot_be_changed(context):
    backup = records.create_backup(context)
    backup.destroy()
    with pytest.raises(exception.BackupNotFound):
        backup.set_metadata({'a': '2'})


def test_concurrent_merges_lose_nothing(context):
    backup = records.create_backup(context)
    errors = []

    def merge(number):
        try:
            for step in range(5):
                Backup(context, id=backup.id).set_metadata({f'{number}-{step}': 'x', 'same': 'y'})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=merge, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(_metadata(context, backup)) == 31


def test_of_concurrent_changes_against_one_version_one_passes(context):
    backup = records.create_backup(context, metadata={'a': '0'})
    version = backup.metadata_version
    barrier = threading.Barrier(6)
    outcomes = []

    def change(number):
        barrier.wait()
        try:
            Backup(context, id=backup.id).set_metadata({'a': f'by {number}'}, if_match=version)
        except exception.MetadataChanged:
            outcomes.append(None)
        else:
            outcomes.append(f'by {number}')

    threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    [winner] = [outcome for outcome in outcomes if outcome]
    assert _metadata(context, backup) == {'a': winner}
