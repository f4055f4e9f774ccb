# SPDX-License-Identifier: Apache-2.0
"""The request context: administrators, travel to other processes, policy checks."""

import types

import pytest

from backupsvc import context, exception, policy
from tests.fixtures import dialect


@pytest.fixture(autouse=True)
def configuration():
    policy.reset()
    dialect.configuration()
    yield
    policy.reset()


def test_admin_role_makes_an_administrator():
    assert context.RequestContext(roles=['admin']).is_admin
    assert not context.RequestContext(roles=['member']).is_admin


def test_administrator_without_roles_gets_the_role_that_rules_ask_for():
    assert context.get_admin_context().can('backup:create', {'project_id': 'any'})


def test_travels_whole():
    sent = context.RequestContext(
        user_id='u', project_id='p', roles=['member'], auth_token='t', request_id='req-1',
        global_request_id='req-2', service_catalog=[{'type': 'volumev3'}], system_scope=None)
    received = context.RequestContext.from_dict(sent.to_dict())
    assert received.to_dict() == sent.to_dict()
    assert (received.user_id, received.project_id, received.roles, received.is_admin) == (
        'u', 'p', ['member'], False)


def test_elevation_leaves_the_original_alone():
    plain = context.RequestContext(user_id='u', project_id='p', roles=['member'])
    elevated = plain.elevated()
    assert elevated.is_admin
    assert elevated.project_id == 'p'
    assert not plain.is_admin
    assert plain.roles == ['member']


def test_target_defaults_to_own_project():
    assert context.RequestContext(project_id='p', roles=['reader']).can('backup:get')


@pytest.mark.parametrize('target', [
    {'project_id': 'other', 'user_id': 'u'},
    types.SimpleNamespace(project_id='other'),
])
def test_target_of_another_project_is_refused(target):
    caller = context.RequestContext(user_id='u', project_id='p', roles=['member', 'reader'])
    assert not caller.can('backup:get', target)
    with pytest.raises(exception.PolicyNotAuthorized) as refused:
        caller.authorize('backup:get', target)
    assert str(refused.value) == "Policy doesn't allow backup:get to be performed."


def test_system_scope_is_refused_for_what_belongs_to_projects():
    operator = context.RequestContext(user_id='u', system_scope='all', roles=['admin', 'reader'])
    assert not operator.can('backup:get_all')
