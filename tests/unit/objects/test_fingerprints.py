# SPDX-License-Identifier: Apache-2.0
"""A record whose fields change gets a new version, so that two releases understand each other."""

import datetime

import pytest
from oslo_versionedobjects import base as ovo_base
from oslo_versionedobjects import fixture

from backupsvc import objects
from backupsvc.objects import base
from backupsvc.objects.backup import Backup

#: When this fails, raise the VERSION of the class, note the change above it, and put the new
#: fingerprint here. A fingerprint that changes while the version stays breaks a rolling upgrade.
FINGERPRINTS = {
    'Backup': '1.0-285621f0eeb8a476614f0cf27084bd98',
    'BackupList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
    'BackupSet': '1.0-0f33a78e414036ae16954b84f42168af',
    'Checkpoint': '1.0-b5cacfb7fb3cd749777e73889bb0ebcc',
    'CheckpointPartition': '1.0-2033d9d1aac53e2e30e28599c3e23a53',
    'DatabaseInstance': '1.0-0925e8db67c1781372709d1eefbf2c39',
    'DatabaseInstanceList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
    'InstanceSnapshot': '1.0-23364fc3b56091d091459fd7606195d2',
    'Message': '1.0-975ed0839363d12bb3b0bdf659b902a5',
    'MessageList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
    'Repository': '1.0-100bcdb0420a012cecb77af34bcdbbaf',
    'RepositoryList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
    'SecurityGroup': '1.0-e34ad2fc8dc59b549f9f655edf718a70',
    'SecurityGroupList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
    'SecurityGroupRule': '1.0-b5879e5dbfde4a558559efb7aa007f99',
    'Service': '1.0-2520171a21c274c5257c24f409e00104',
    'ServiceList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
    'SnapshotMember': '1.0-a8e51c7d1f2a0938e37d8c10358f3ff5',
    'Task': '1.0-35673bf1edd643bfd0a38a7db5e0707b',
    'TaskList': '1.0-15ecf022a68ddbb8c2a6739cfc9f8f5e',
}


def _ours():
    objects.register_all()
    return {name: classes for name, classes in
            ovo_base.VersionedObjectRegistry.obj_classes().items()
            if issubclass(classes[0], base.BackupsvcObject)}


def test_fields_and_versions_belong_together():
    found = fixture.ObjectVersionChecker(_ours()).get_hashes()
    assert found == FINGERPRINTS


def test_an_object_survives_the_wire():
    """What a process serialises, another one reads as it was, microseconds included."""
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    backup = Backup(id='b', created_at=now, data_timestamp=None, size_gb=3, deleted=False,
                    source_facts={'a': [1, None, {'b': 'é'}]}, metadata={'k': 'v'})
    serializer = ovo_base.VersionedObjectSerializer()
    serializer.OBJ_BASE_CLASS = base.BackupsvcObject
    received = serializer.deserialize_entity(None, serializer.serialize_entity(None, backup))
    assert isinstance(received, Backup) and received is not backup
    for name in ('id', 'created_at', 'data_timestamp', 'size_gb', 'source_facts', 'metadata'):
        assert getattr(received, name) == getattr(backup, name), name
    assert not received.obj_attr_is_set('status')


def test_facts_that_json_cannot_express_are_refused():
    with pytest.raises(ValueError, match='source_facts'):
        Backup(source_facts={'a': datetime.datetime.now(datetime.UTC)})
