# SPDX-License-Identifier: Apache-2.0
"""The life of backups over HTTP, with a manager that carries them out."""

import re

import pytest

from backupsvc import version
from backupsvc.db import engine
from tests.fixtures.service import wait_until
from tests.functional.actuator_v1.conftest import BACKUPS

TIME = re.compile(r'2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z')


def test_a_backup_is_taken_shown_listed_and_deleted(cluster):
    answer = cluster.take(7)
    assert (answer.status_int, answer.content_type) == (202, 'application/json')
    assert answer.json == {
        'message': 'A backup with id 7 has been scheduled. '
                   'Use GET actuator/backups/7 to monitor the status.'}
    assert cluster.show(7).json['state'] in ('IN_PROGRESS', 'COMPLETED')
    found = cluster.ended(7)
    assert {key: found[key] for key in found if key != 'details'} == {
        'backupId': 7, 'state': 'COMPLETED'}
    assert [part['partitionId'] for part in found['details']] == [1, 2]
    for part in found['details']:
        assert list(part) == ['partitionId', 'state', 'createdAt', 'brokerVersion',
                              'lastUpdatedAt', 'snapshotId', 'checkpointPosition', 'brokerId']
        assert (part['state'], part['brokerVersion']) == ('COMPLETED', version.version_string())
        assert TIME.fullmatch(part['createdAt']) and TIME.fullmatch(part['lastUpdatedAt'])
        assert part['createdAt'] <= part['lastUpdatedAt']
    assert len({part['checkpointPosition'] for part in found['details']}) == 1
    assert len({part['snapshotId'] for part in found['details']}) == 2

    trimmed = [{name: part[name] for name in
                ('partitionId', 'state', 'createdAt', 'brokerVersion')}
               for part in found['details']]
    listed = cluster.operator.get(BACKUPS).json
    assert listed == [{'backupId': 7, 'state': 'COMPLETED', 'details': trimmed}]

    answer = cluster.operator.delete(f'{BACKUPS}/7')
    assert (answer.status_int, answer.body) == (204, b'')
    assert 'Content-Type' not in answer.headers
    gone = cluster.show(7)
    assert (gone.status_int, gone.json) == (404, {'message': 'Backup with id 7 does not exist'})
    assert cluster.ids() == []
    again = cluster.take(7)
    assert (again.status_int, again.json) == (409, {
        'message': 'Requested backup has id 7. The latest backup has id 7. Id of new backups '
                   'must be higher than the previous one. '})


def test_the_list_has_the_highest_id_first_and_a_prefix_selects(cluster):
    for backup_id in (9, 10, 95, 100, 1000):
        cluster.taken(backup_id)
    assert cluster.ids() == cluster.ids('/') == cluster.ids('/*') == [1000, 100, 95, 10, 9]
    assert cluster.ids('/10*') == [1000, 100, 10]
    assert cluster.ids('/9*') == [95, 9]
    assert cluster.ids('/1000*') == [1000]
    assert cluster.ids('/2*') == cluster.ids('/0*') == cluster.ids('/' + '9' * 30 + '*') == []
    assert cluster.show('10/').json == cluster.show('10').json


def test_positions_rise(cluster):
    found = [cluster.taken(backup_id)['details'][0]['checkpointPosition']
             for backup_id in (1, 2, 2**62)]
    assert found == sorted(set(found))


def test_an_id_must_be_above_all_before(cluster):
    cluster.taken(100)
    for backup_id in (1, 99, 100):
        answer = cluster.take(backup_id)
        assert (answer.status_int, answer.json) == (409, {
            'message': f'Requested backup has id {backup_id}. The latest backup has id 100. Id '
                       'of new backups must be higher than the previous one. '})
    assert cluster.ids() == [100]


def test_the_highest_id_is_the_last(cluster):
    cluster.taken(2**63 - 1)
    assert cluster.show(2**63 - 1).json['backupId'] == 2**63 - 1
    assert cluster.take(2**63 - 1).status_int == 409


def test_deleting_is_answered_in_one_way(cluster):
    cluster.taken(5)
    for backup_id in (4, 5, 5, 0, 2**63 - 1):
        assert cluster.operator.delete(f'{BACKUPS}/{backup_id}').status_int == 204


def test_a_backup_in_progress_can_be_deleted(cluster):
    assert cluster.take(3).status_int == 202
    assert cluster.operator.delete(f'{BACKUPS}/3').status_int == 204
    assert cluster.show(3).status_int == 404
    cluster.taken(4)
    assert cluster.ids() == [4]


def test_a_failed_partition_fails_the_backup_and_says_why(cluster):
    missing = '5b2f3d0a-1a51-4b59-8f67-17fdbb3a2f0c'
    cluster.rig.conf.set_override(
        'partitions', f'1=volume:{cluster.volumes[0].id}, 2=volume:{missing}', group='actuator')
    assert cluster.take(1).status_int == 202
    found = cluster.ended(1)
    assert found['state'] == 'FAILED'
    failed = [part for part in found['details'] if part['state'] == 'FAILED']
    assert 2 in [part['partitionId'] for part in failed]
    assert found['failureReason'] == ''.join(
        f'Backup on partition {part["partitionId"]} failed due to '
        f'{part["failureReason"].removesuffix(".")}. ' for part in failed)
    listed, = cluster.operator.get(BACKUPS).json
    assert listed['failureReason'] == found['failureReason']
    assert [part.get('failureReason') for part in listed['details']] == [
        part.get('failureReason') for part in found['details']]


def test_a_partition_that_came_later_makes_older_backups_incomplete(cluster):
    first, second = cluster.volumes
    cluster.configure([first])
    cluster.taken(1)
    cluster.configure([first, second])
    found = cluster.show(1).json
    assert found['state'] == 'INCOMPLETE'
    assert found['details'][1] == {'partitionId': 2, 'state': 'DOES_NOT_EXIST'}
    assert cluster.taken(2)['state'] == 'COMPLETED'


def test_ids_are_made_where_that_is_configured(cluster):
    cluster.rig.conf.set_override('continuous', True, group='actuator')
    made = []
    for body in (None, {}, {'backupId': None}):
        answer = (cluster.operator.post(BACKUPS) if body is None
                  else cluster.operator.post(BACKUPS, body))
        assert answer.status_int == 202
        backup_id = answer.json['backupId']
        assert answer.json == {
            'message': f'A backup with id {backup_id} has been scheduled. '
                       f'Use GET actuator/backups/{backup_id} to monitor the status.',
            'backupId': backup_id}
        made.append(backup_id)
        assert cluster.ended(backup_id)['state'] == 'COMPLETED'
    assert made == sorted(set(made))
    answer = cluster.take(made[-1] + 1)
    assert answer.status_int == 400
    assert answer.json['message'].startswith('No backupId may be provided')


def test_the_state_shows_what_each_partition_has(cluster):
    empty = cluster.operator.get(f'{BACKUPS}/state')
    assert (empty.status_int, empty.json) == (
        200, {'checkpointStates': [], 'backupStates': [], 'ranges': []})
    cluster.taken(3)
    cluster.taken(8)
    found = cluster.operator.get(f'{BACKUPS}/state').json
    position = cluster.show(8).json['details'][0]['checkpointPosition']
    for each in found['backupStates'] + found['checkpointStates']:
        assert TIME.fullmatch(each.pop('checkpointTimestamp'))
    assert found['checkpointStates'] == found['backupStates'] == [
        {'partitionId': number, 'checkpointId': 8, 'checkpointType': 'MANUAL_BACKUP',
         'checkpointPosition': position} for number in (1, 2)]
    assert found['ranges'] == [
        {'partitionId': number, 'start': 3, 'end': 8} for number in (1, 2)]


def test_media_types_are_those_of_spring_boot(cluster):
    spring = 'application/vnd.spring-boot.actuator.v3+json'
    for given in ('application/json', spring, f'{spring}; charset=utf-8',
                  'application/vnd.spring-boot.actuator.v2+json'):
        backup_id = (cluster.ids() or [0])[0] + 1
        answer = cluster.operator.request(
            'POST', BACKUPS, {'backupId': backup_id}, headers={'Content-Type': given})
        assert answer.status_int == 202, answer.text
    for accepted, answered in (
            (None, 'application/json'), ('*/*', 'application/json'), (spring, spring),
            (f'{spring},application/json;q=0.5', spring), ('text/html', 'application/json')):
        headers = {'Accept': accepted} if accepted else {}
        for path in (BACKUPS, f'{BACKUPS}/99'):
            assert cluster.operator.get(path, headers=headers).content_type == answered
    wait_until(lambda: all(each['state'] != 'IN_PROGRESS'
                           for each in cluster.operator.get(BACKUPS).json))


@pytest.fixture
def configured(service):
    """Partitions whose manager is not there, for requests that never come so far."""
    service.override('partitions', '1=volume:5b2f3d0a-1a51-4b59-8f67-17fdbb3a2f0c@elsewhere',
                     'actuator')
    return service


BAD_ID = 'A backupId must be provided and it must be > 0'


@pytest.mark.parametrize('body', [
    b'', b'{}', b'null', b'[]', b'7', b'"7"', b'{"backupId": 0}', b'{"backupId": -1}',
    b'{"backupId": 9223372036854775808}', b'{"backupId": 1e400}', b'{"backupId": 1e30}',
    b'{"backupId": "1"}', b'{"backupId": 1.5}', b'{"backupId": true}', b'{"backupId": null}',
    b'{"backupId": [1]}', b'{"backupId": {}}', b'{"backupId": NaN}', b'{"backupid": 1}',
    b'{"backupId": 1, "more": 1}', b'{"backupId": 1, "backupId": 2}', b'{"backupId": 1',
    b'{"backupId": 1}}', b'\xff\xfe', b'\x00', b'[' * 5000, b'{"backupId": ' + b'9' * 5000 + b'}',
    b'{"backupId": "' + b'x' * 200000 + b'"}',
], ids=lambda body: repr(body[:30]))
def test_every_bad_body_is_400(configured, operator, body):
    answer = operator.request('POST', BACKUPS, raw=body)
    assert answer.status_int == 400
    assert answer.json.keys() == {'message'}
    if len(body) < 10000:
        assert answer.json == {'message': BAD_ID}


@pytest.mark.parametrize('media_type', ['text/plain', 'application/x-www-form-urlencoded',
                                        'application/xml', ''])
def test_a_body_of_another_media_type_is_400(configured, operator, media_type):
    answer = operator.request(
        'POST', BACKUPS, raw=b'{"backupId": 1}', headers={'Content-Type': media_type})
    assert (answer.status_int, answer.json) == (400, {'message': 'Unsupported Content-Type'})


@pytest.mark.parametrize('given', [
    'x', '-1', '1.0', '+1', '0x1', '1e3', '%D9%A1', '9223372036854775808', '9' * 400,
    '1**', 'x*', '*1', '1,2', '..', ' 1', "'", '1;2',
])
@pytest.mark.parametrize('method', ['GET', 'DELETE'])
def test_a_path_that_names_no_id_is_400(configured, operator, method, given):
    answer = operator.request(method, f'{BACKUPS}/{given}')
    assert answer.json.keys() == {'message'}
    assert answer.status_int == 400
    assert answer.json['message'].startswith(
        "Expected a backup ID or prefix ending with '*', but got '")


def test_a_prefix_is_not_deleted(configured, operator):
    assert operator.delete(f'{BACKUPS}/1*').status_int == 400


def test_zero_is_an_id_that_never_was(configured, operator):
    answer = operator.get(f'{BACKUPS}/0')
    assert (answer.status_int, answer.json) == (
        404, {'message': 'Backup with id 0 does not exist'})


def test_what_there_is_not(configured, operator):
    for method, path, status in (
            ('PUT', BACKUPS, 405), ('DELETE', BACKUPS, 405), ('POST', f'{BACKUPS}/1', 405),
            ('GET', f'{BACKUPS}/1/2', 404), ('GET', f'{BACKUPS}/%00', 404),
            ('GET', '/actuator', 404),
            ('GET', '/actuator/backupRuntime', 404)):
        answer = operator.request(method, path)
        assert (answer.status_int, list(answer.json)) == (status, ['message']), path
    assert operator.request('PUT', BACKUPS).headers['Allow'] == 'GET, POST'


def test_without_partitions_everything_but_deleting_is_400(service, operator):
    for answer in (operator.get(BACKUPS), operator.get(f'{BACKUPS}/1'),
                   operator.get(f'{BACKUPS}/1*'), operator.get(f'{BACKUPS}/state'),
                   operator.post(BACKUPS, {'backupId': 1})):
        assert (answer.status_int, list(answer.json)) == (400, ['message'])
        assert answer.json['message'].startswith('No partitions are configured')
    assert operator.delete(f'{BACKUPS}/1').status_int == 204


def test_a_partition_without_a_manager_is_502_and_spends_no_id(configured, operator):
    for _ in range(2):
        answer = operator.post(BACKUPS, {'backupId': 1})
        assert (answer.status_int, answer.json) == (502, {
            'message': 'Expected to send request to all 1 partitions, but found only 0 '
                       'partitions in topology.'})
    assert operator.get(BACKUPS).json == []


def test_an_error_of_the_service_is_500_without_detail(configured, operator):
    with engine.schema_change() as connection:
        connection.exec_driver_sql('ALTER TABLE checkpoints RENAME TO elsewhere')
    for method, path, body in (('GET', BACKUPS, None), ('GET', f'{BACKUPS}/1', None),
                               ('DELETE', f'{BACKUPS}/1', None),
                               ('GET', f'{BACKUPS}/state', None)):
        answer = operator.request(method, path, body)
        assert (answer.status_int, answer.json) == (500, {
            'message': 'The server has either erred or is incapable of performing the requested '
                       'operation.'})
