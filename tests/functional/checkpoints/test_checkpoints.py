# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a cluster with one manager, from the request to their removal."""

from backupsvc import states, version


def test_a_checkpoint_holds_every_partition_as_of_one_moment(cluster):
    cluster.machines.wait_for_writes(cluster.instance)
    shown = cluster.taken(7)
    assert [part.id for part in shown.partitions] == [1, 2, 3]
    for part in shown.partitions:
        assert (part.state, part.failure_reason) == (states.CHECKPOINT_COMPLETED, None)
        assert part.broker_version == version.version_string() and part.broker_id > 0
        assert part.created_at <= part.updated_at
        assert len(part.snapshot_id.split(',')) == (2 if part.id == 3 else 1)
    assert len({part.position for part in shown.partitions}) == 1
    members = cluster.members(7)
    assert len({backup.data_timestamp for found in members.values() for backup in found}) == 1
    assert [backup.source_id for backup in members[3]] == cluster.machines.volume_ids(
        cluster.instance)
    cluster.machines.wait_for_writes(cluster.instance)
    cluster.assert_nothing_is_left()
