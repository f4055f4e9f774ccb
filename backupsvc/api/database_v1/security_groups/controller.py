# SPDX-License-Identifier: Apache-2.0
"""Security groups of instances: list, show, and rules that come and go."""

from backupsvc.api.database_v1 import forms, listing, shapes, views
from backupsvc.api.database_v1.security_groups import schemas
from backupsvc.orchestration import security_groups
from backupsvc.wsgi import validation


def _rule(rule) -> dict:
    return {'id': rule.id, 'protocol': rule.protocol, 'from_port': rule.from_port,
            'to_port': rule.to_port, 'cidr': rule.cidr}


def _group(req, group) -> dict:
    return {
        'id': group.id,
        'name': group.name,
        'description': group.description,
        'instance_id': group.instance_id,
        'links': views.links(req, 'security-groups', group.id, has_bookmark=False),
        'rules': [_rule(rule) for rule in group.rules],
        'created': views.date(group.created_at),
        'updated': views.date(group.updated_at or group.created_at),
    }


@validation.query(shapes.LIST_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_security_groups(req):
    """List security groups with their rules; 200."""
    limit = listing.limit(req)
    found = security_groups.list_(req.context, limit, req.query.get('marker'))
    return views.page(req, 'security_groups', [_group(req, group) for group in found],
                      listing.next_marker(found, limit, lambda last: last.id))


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW)
def show_security_group(req):
    """Show a security group with its rules; 200."""
    group = security_groups.get(req.context, req.path_params['group_id'])
    return {'security_group': _group(req, group)}


@validation.body(schemas.CREATE_RULE)
@forms.answer(schemas.RULE, 201, specified=schemas.SPECIFIED_RULE, specified_status=202)
def create_security_group_rule(req):
    """Let a network connect; 201 with a list of the rule, or 202 with the rule."""
    wanted = req.json['security_group_rule']
    rule = security_groups.create_rule(req.context, wanted['group_id'], wanted['cidr'])
    body = {**_rule(rule), 'security_group_id': rule.group_id,
            'created': views.date(rule.created_at)}
    return {'security_group_rule': body if forms.is_specified(req) else [body]}


@forms.answer(None, 204)
def delete_security_group_rule(req):
    """Let a network connect no more; 204."""
    security_groups.delete_rule(req.context, req.path_params['rule_id'])
