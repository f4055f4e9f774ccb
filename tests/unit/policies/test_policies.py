# SPDX-License-Identifier: Apache-2.0
"""Every rule of backups, sets, rollbacks and messages, for every persona, by its default."""

import itertools

import pytest

from backupsvc import context, policies, policy
from backupsvc.policies import (
    backups,
    base,
    instance_backups,
    instance_snapshots,
    messages,
    rollbacks,
)
from tests.fixtures import dialect

ADMIN, MEMBER, READER = {'admin'}, {'admin', 'member'}, {'admin', 'member', 'reader'}

EXPECTED = {
    'backup:get_all': READER,
    'backup:get': READER,
    'backup:create': MEMBER,
    'backup:update': MEMBER,
    'backup:delete': MEMBER,
    'backup:restore': MEMBER,
    'backup:backup_project_attribute': ADMIN,
    'backup:backup-import': ADMIN,
    'backup:export-import': ADMIN,
    'volume_extension:backup_admin_actions:reset_status': ADMIN,
    'volume_extension:backup_admin_actions:force_delete': ADMIN,
    'backup:get_backup_metadata': READER,
    'backup:create_backup_metadata': MEMBER,
    'backup:update_backup_metadata': MEMBER,
    'backup:delete_backup_metadata': MEMBER,
    'instance_backup:get_all': READER,
    'instance_backup:get': READER,
    'instance_backup:create': MEMBER,
    'instance_backup:update': MEMBER,
    'instance_backup:delete': MEMBER,
    'instance_backup:force_delete': ADMIN,
    'instance_snapshot:get_all': READER,
    'instance_snapshot:get': READER,
    'instance_snapshot:create': MEMBER,
    'instance_snapshot:delete': MEMBER,
    'instance_snapshot:force_delete': ADMIN,
    'volume:rollback': MEMBER,
    'message:get_all': READER,
    'message:get': READER,
    'message:delete': MEMBER,
}

ROLES = {
    'admin': ['admin', 'member', 'reader'],
    'member': ['member', 'reader'],
    'reader': ['reader'],
    'nobody': [],
}


@pytest.fixture(autouse=True, scope='module')
def configuration():
    policy.reset()
    dialect.configuration()
    yield
    policy.reset()


def _caller(persona, project='p'):
    return context.RequestContext(user_id='u', project_id=project, roles=ROLES[persona])


def test_every_rule_is_expected_here():
    rules = {rule.name for module in (
        backups, instance_backups, instance_snapshots, messages, rollbacks)
        for rule in module.list_rules()}
    assert rules == set(EXPECTED)


@pytest.mark.parametrize('rule,persona', itertools.product(EXPECTED, ROLES))
def test_rule_in_own_project(rule, persona):
    assert _caller(persona).can(rule, {'project_id': 'p'}) == (persona in EXPECTED[rule])


@pytest.mark.parametrize('rule,persona', itertools.product(EXPECTED, ROLES))
def test_rule_in_another_project_is_for_administrators(rule, persona):
    allowed = _caller(persona).can(rule, {'project_id': 'another'})
    assert allowed == (persona == 'admin')


@pytest.mark.parametrize('rule', EXPECTED)
def test_rule_refuses_tokens_without_project(rule):
    operator = context.RequestContext(
        user_id='u', system_scope='all', roles=['admin', 'member', 'reader'])
    assert not operator.can(rule)


def test_all_rules_are_registered_once_and_described():
    rules = policies.list_rules()
    names = [rule.name for rule in rules]
    assert len(names) == len(set(names))
    assert {rule.name for rule in base.list_rules()} < set(names)
    assert all(rule.description for rule in rules)
    assert set(EXPECTED) < set(names)


def test_a_policy_file_overrides_and_a_reset_reads_it(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text('"backup:get_all": "role:auditor"\n')
    conf = dialect.configuration()
    policy.reset()
    policy.get_enforcer()
    conf.set_override('policy_file', str(path), group='oslo_policy')
    policy.reset()
    try:
        assert not _caller('reader').can('backup:get_all')
        auditor = context.RequestContext(user_id='u', project_id='p', roles=['auditor'])
        assert auditor.can('backup:get_all')
    finally:
        dialect.configuration()
        policy.reset()


def test_enforcer_is_there_for_policy_tools_without_our_configuration(monkeypatch):
    policy.reset()
    monkeypatch.setattr(policy.conf, '_current', None)
    try:
        assert 'backup:create' in policy.get_enforcer().registered_rules
    finally:
        policy.reset()
