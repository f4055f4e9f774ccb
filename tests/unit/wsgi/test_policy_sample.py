# SPDX-License-Identifier: Apache-2.0
"""The policy sample names the calls of every rule."""

from oslo_policy import generator

from backupsvc import policies
from backupsvc.policies import base
from backupsvc.wsgi import policy_sample, root
from tests.fixtures import dialect
from tests.unit.wsgi.conftest import EntryPoint


def test_rules_stay_what_they_are():
    found = {rule.name: (rule.check_str, rule.scope_types) for rule in policy_sample.list_rules()}
    assert found == {
        rule.name: (rule.check_str, rule.scope_types) for rule in policies.list_rules()
    }


def test_calls_are_taken_from_the_route_tables(monkeypatch):
    monkeypatch.setattr(
        root, 'installed_dialects', lambda: {'things': EntryPoint(dialect.DIALECT)}
    )
    assert policy_sample.operations() == {
        'things:show': [{'method': 'GET', 'path': '/v3/things/{thing_id}'}]
    }


def test_every_rule_guards_a_call_and_every_call_names_rules_that_exist():
    named = set(policy_sample.operations())
    rules = {rule.name for rule in policies.list_rules()}
    assert named <= rules
    assert rules - named == {rule.name for rule in base.RULES}


def test_the_sample_reads_well():
    rule = next(rule for rule in policy_sample.list_rules() if rule.name == 'backup:create')
    text = generator._format_rule_default_yaml(rule)
    assert '# POST  /v3/backups\n' in text
