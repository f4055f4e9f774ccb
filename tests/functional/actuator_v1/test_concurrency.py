# SPDX-License-Identifier: Apache-2.0
"""Many requests for backups at once, over sockets: exactly the rules of ids decide."""

import collections

import pytest

from backupsvc.wsgi import paste, server
from tests.fixtures import simultaneous


@pytest.fixture
def port(cluster):
    """The port of a server of the management application that takes 16 requests at once."""
    serving = server.Server(
        paste.loadapp(cluster.rig.conf, paste.MANAGEMENT), '127.0.0.1', 0, threads=16)
    serving.start()
    yield serving.port
    serving.stop()


def test_of_sixteen_requests_for_one_id_one_is_accepted(cluster, port):
    for backup_id in (1, 2, 3):
        answers = simultaneous.ask([port], [backup_id] * 16)
        assert collections.Counter(status for _, status, _ in answers) == {202: 1, 409: 15}
        assert simultaneous.accepted(answers) == [backup_id]
        assert all(f'The latest backup has id {backup_id}.' in message
                   for _, status, message in answers if status == 409)
    assert cluster.ids() == [3, 2, 1]
    assert [cluster.ended(backup_id)['state'] for backup_id in (1, 2, 3)] == ['COMPLETED'] * 3


@pytest.mark.parametrize('ids', [
    list(range(10, 26)), list(range(25, 9, -1)), [10, 11, 12, 13] * 4,
], ids=['rising', 'falling', 'four times four'])
def test_neighbouring_ids_are_accepted_in_rising_order_only(cluster, port, ids):
    taken = simultaneous.accepted(simultaneous.ask([port], ids))
    assert cluster.ids() == taken
    for backup_id in taken:
        assert cluster.ended(backup_id)['state'] == 'COMPLETED'
    positions = [cluster.show(backup_id).json['details'][0]['checkpointPosition']
                 for backup_id in taken]
    assert positions == sorted(set(positions), reverse=True)
