# SPDX-License-Identifier: Apache-2.0
"""Transfers of volumes, and volume types with quotas of their own, over HTTP."""

import uuid

import pytest


def make(client, **fields):
    answer = client.post('/volumes', {'volume': {'size': 1, **fields}})
    assert answer.status_int == 202, answer.text
    return answer.json['volume']


# -- transfers


@pytest.mark.parametrize('base', ['/os-volume-transfer', '/volume-transfers'])
def test_a_volume_goes_to_another_project(member, stranger, fault, base):
    volume = make(member)
    answer = member.post(base, {'transfer': {'volume_id': volume['id'], 'name': 't'}})
    assert answer.status_int == 202, answer.text
    offer = answer.json['transfer']
    assert (offer['no_snapshots'], offer['accepted']) == (False, False)
    assert member.get(f'/volumes/{volume["id"]}').json['volume']['status'] == (
        'awaiting-transfer')
    path = f'{base}/{offer["id"]}'
    assert 'auth_key' not in member.get(path).json['transfer']
    assert [one['id'] for one in member.get(base).json['transfers']] == [offer['id']]
    assert [one['name'] for one in member.get(f'{base}/detail').json['transfers']] == ['t']
    assert stranger.get(base).json['transfers'] == []
    assert fault(stranger.get(path))[0] == 404
    status, _, message = fault(stranger.post(f'{path}/accept', {'accept': {'auth_key': 'x'}}))
    assert status == 400
    assert 'invalid auth key' in message
    accepted = stranger.post(f'{path}/accept', {'accept': {'auth_key': offer['auth_key']}})
    assert accepted.status_int == 202
    assert accepted.json['transfer']['volume_id'] == volume['id']
    assert fault(member.get(f'/volumes/{volume["id"]}'))[0] == 404
    assert stranger.get(f'/volumes/{volume["id"]}').json['volume']['user_id'] == 'sam'


def test_an_offer_is_withdrawn(member, stranger, fault):
    volume = make(member)
    offer = member.post(
        '/os-volume-transfer', {'transfer': {'volume_id': volume['id']}}).json['transfer']
    path = f'/os-volume-transfer/{offer["id"]}'
    assert fault(stranger.delete(path))[0] == 404
    assert member.delete(path).status_int == 202
    assert member.get(f'/volumes/{volume["id"]}').json['volume']['status'] == 'available'
    assert fault(stranger.post(
        f'{path}/accept', {'accept': {'auth_key': offer['auth_key']}}))[0] == 404


def test_quota_of_who_accepts(member, stranger, admin, fault):
    offer = member.post('/os-volume-transfer', {
        'transfer': {'volume_id': make(member)['id']}}).json['transfer']
    admin.put(f'/os-quota-sets/{stranger.project}', {'quota_set': {'volumes': 0}})
    assert fault(stranger.post(f'/os-volume-transfer/{offer["id"]}/accept', {
        'accept': {'auth_key': offer['auth_key']}}))[0] == 413


@pytest.mark.parametrize('body', [
    None, {}, {'transfer': {}}, {'transfer': {'volume_id': 'x'}},
    {'transfer': {'volume_id': str(uuid.uuid4()), 'x': 1}}])
def test_bad_offers(member, fault, body):
    assert fault(member.post('/os-volume-transfer', body))[0] == 400


def test_only_free_volumes_are_offered(service, member, reader, fault):
    volume = service.volume()
    body = {'transfer': {'volume_id': volume.id}}
    assert fault(reader.post('/os-volume-transfer', body))[0] == 403
    service.occupy(volume, 'in-use')
    assert fault(member.post('/os-volume-transfer', body))[0] == 400
    body['transfer']['volume_id'] = str(uuid.uuid4())
    assert fault(member.post('/os-volume-transfer', body))[0] == 404


def test_the_new_name_came_with_a_microversion(member, fault):
    assert fault(member.at('3.54').get('/volume-transfers'))[0] == 404
    offer = member.at('3.54').post('/os-volume-transfer', {
        'transfer': {'volume_id': make(member)['id']}}).json['transfer']
    assert 'no_snapshots' not in offer
    assert 'source_project_id' not in member.at('3.56').get(
        f'/volume-transfers/{offer["id"]}').json['transfer']


# -- types


@pytest.fixture
def gold(admin):
    answer = admin.post('/types', {'volume_type': {
        'name': 'gold', 'description': 'd', 'extra_specs': {'a': 'b'},
        'os-volume-type-access:is_public': True}})
    assert answer.status_int == 200, answer.text
    return answer.json['volume_type']


def test_types_are_added_changed_and_removed(member, admin, gold, fault):
    path = f'/types/{gold["id"]}'
    assert 'qos_specs_id' not in gold  # as Cinder: shown, but not told at the creation
    assert member.get(path).json['volume_type'] == {**gold, 'qos_specs_id': None}
    assert fault(admin.post('/types', {'volume_type': {'name': 'gold'}}))[0] == 409
    changed = admin.put(path, {'volume_type': {'description': 'e', 'is_public': False}})
    assert changed.json['volume_type']['description'] == 'e'
    assert fault(member.get(path))[0] == 404
    assert len(member.get('/types').json['volume_types']) == 1
    assert len(admin.get('/types').json['volume_types']) == 2
    assert admin.post(f'{path}/extra_specs', {'extra_specs': {'c': 'd'}}).json == {
        'extra_specs': {'c': 'd'}}
    assert admin.get(f'{path}/extra_specs').json == {'extra_specs': {'a': 'b', 'c': 'd'}}
    assert admin.delete(path).status_int == 202
    assert fault(admin.delete(path))[0] == 404


def test_types_in_use_stay(member, admin, gold, fault):
    volume = make(member, volume_type='gold')
    assert volume['volume_type'] == 'gold'
    assert volume['volume_type_id'] == gold['id']
    assert fault(admin.delete(f'/types/{gold["id"]}')) == (
        400, 'badRequest', 'Target volume type is still in use.')


def test_only_administrators_change_types(member, admin, gold, fault):
    path = f'/types/{gold["id"]}'
    for answer in (member.post('/types', {'volume_type': {'name': 'x'}}),
                   member.put(path, {'volume_type': {}}), member.delete(path),
                   member.post(f'{path}/extra_specs', {'extra_specs': {}})):
        assert fault(answer)[0] == 403
    default = member.get('/types/default').json['volume_type']['id']
    assert fault(admin.delete(f'/types/{default}'))[0] == 404


def test_quotas_of_a_type(member, admin, gold, fault):
    path = f'/os-quota-sets/{member.project}'
    assert member.get(path).json['quota_set']['volumes_gold'] == -1
    admin.put('/os-quota-class-sets/default', {'quota_class_set': {'gigabytes_gold': 3}})
    assert member.get(f'{path}/defaults').json['quota_set']['gigabytes_gold'] == 3
    answer = admin.put(path, {'quota_set': {'volumes_gold': 1}})
    assert answer.json['quota_set']['volumes_gold'] == 1
    make(member, volume_type='gold')
    make(member)
    status, _, message = fault(member.post(
        '/volumes', {'volume': {'size': 1, 'volume_type': 'gold'}}))
    assert status == 413
    assert "'volumes_gold'" in message
    assert member.get(f'{path}?usage=1').json['quota_set']['volumes_gold'] == {
        'limit': 1, 'in_use': 1, 'reserved': 0}
    assert fault(admin.put(path, {'quota_set': {'volumes_silver': 1}}))[0] == 400
