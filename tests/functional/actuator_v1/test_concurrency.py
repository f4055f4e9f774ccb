# SPDX-License-Identifier: Apache-2.0
"""Many requests for backups at once, over sockets: exactly the rules of ids decide."""

import collections
import http.client
import json
import re
import threading

import pytest

from backupsvc.wsgi import paste, server
from tests.functional.actuator_v1.conftest import BACKUPS

TAKEN = re.compile(r'Requested backup has id (\d+)\. The latest backup has id (\d+)\. '
                   r'Id of new backups must be higher than the previous one\. \Z')


@pytest.fixture
def port(cluster):
    """The port of a server of the management application that takes 16 requests at once."""
    serving = server.Server(
        paste.loadapp(cluster.rig.conf, paste.MANAGEMENT), '127.0.0.1', 0, threads=16)
    serving.start()
    yield serving.port
    serving.stop()


def _ask_at_once(port, ids):
    """Ask for backups, all in the same moment; return (id, status, message) in their order."""
    together = threading.Barrier(len(ids))
    answers = [None] * len(ids)

    def ask(number, backup_id):
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
        try:
            connection.connect()
            together.wait()
            connection.request('POST', BACKUPS, json.dumps({'backupId': backup_id}),
                               {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            answers[number] = backup_id, answer.status, json.loads(answer.read())['message']
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=each) for each in enumerate(ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _assert_pattern(answers):
    """Check the answers as a whole, and return the ids that were taken.

    Each id is accepted once at most, the highest one exactly once, and whatever else is refused
    names its own id and one not below it that was accepted.
    """
    accepted = [backup_id for backup_id, status, _ in answers if status == 202]
    assert len(accepted) == len(set(accepted))
    assert max(backup_id for backup_id, _, _ in answers) in accepted
    for backup_id, status, message in answers:
        if status == 202:
            assert message == (
                f'A backup with id {backup_id} has been scheduled. '
                f'Use GET actuator/backups/{backup_id} to monitor the status.')
            continue
        assert status == 409, (backup_id, status, message)
        requested, latest = map(int, TAKEN.match(message).groups())
        assert requested == backup_id <= latest
        assert latest in accepted
    return sorted(accepted, reverse=True)


def test_of_sixteen_requests_for_one_id_one_is_accepted(cluster, port):
    for backup_id in (1, 2, 3):
        answers = _ask_at_once(port, [backup_id] * 16)
        assert collections.Counter(status for _, status, _ in answers) == {202: 1, 409: 15}
        assert _assert_pattern(answers) == [backup_id]
        assert all(f'The latest backup has id {backup_id}.' in message
                   for _, status, message in answers if status == 409)
    assert cluster.ids() == [3, 2, 1]
    assert [cluster.ended(backup_id)['state'] for backup_id in (1, 2, 3)] == ['COMPLETED'] * 3


@pytest.mark.parametrize('ids', [
    list(range(10, 26)), list(range(25, 9, -1)), [10, 11, 12, 13] * 4,
], ids=['rising', 'falling', 'four times four'])
def test_neighbouring_ids_are_accepted_in_rising_order_only(cluster, port, ids):
    accepted = _assert_pattern(_ask_at_once(port, ids))
    assert cluster.ids() == accepted
    for backup_id in accepted:
        assert cluster.ended(backup_id)['state'] == 'COMPLETED'
    positions = [cluster.show(backup_id).json['details'][0]['checkpointPosition']
                 for backup_id in accepted]
    assert positions == sorted(set(positions), reverse=True)
