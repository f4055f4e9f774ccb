# SPDX-License-Identifier: Apache-2.0
"""Users of an instance, their passwords and what they may use."""

from backupsvc.api.database_v1 import forms, listing, references, shapes, views
from backupsvc.api.database_v1.users import schemas
from backupsvc.orchestration import databases
from backupsvc.wsgi import validation


def _place(req) -> tuple[str, str, str]:
    """Return (instance, name, host) of the path."""
    return (req.path_params['instance_id'], *references.name_and_host(req.path_params['user']))


def _view(user) -> dict:
    return {'name': user.name, 'host': user.host, 'databases': _names(user)}


def _names(user) -> list[dict]:
    return [{'name': name} for name in user.databases]


@validation.query(shapes.LIST_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_users(req):
    """List users with what they may use; 200."""
    limit, marker = listing.limit(req), req.query.get('marker')
    found = databases.list_users(
        req.context, req.path_params['instance_id'], limit,
        references.name_and_host(marker) if marker is not None else None)
    return views.page(req, 'users', [_view(user) for user in found], listing.next_marker(
        found, limit, lambda last: f'{last.name}@{last.host}'))


@validation.body(schemas.CREATE)
@forms.answer(None, 202)
def create_users(req):
    """Make users, all or none; 202."""
    databases.create_users(
        req.context, req.path_params['instance_id'], references.users(req.json['users']))


@validation.body(schemas.PASSWORDS)
@forms.answer(None, 202, specified_status=204)
def change_passwords(req):
    """Change passwords of users; 202, or 204 in the form of the specification."""
    databases.change_passwords(
        req.context, req.path_params['instance_id'], references.users(req.json['users']))


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW)
def show_user(req):
    """Show a user and what it may use; 200."""
    return {'user': _view(databases.show_user(req.context, *_place(req)))}


@validation.body(schemas.UPDATE)
@forms.answer(None, 202, specified_status=204)
def update_user(req):
    """Change the name, the host or the password of a user; 202, or 204 in the form of the
    specification.
    """
    wanted = req.json['user']
    databases.update_user(
        req.context, *_place(req), new_name=wanted.get('name'), new_host=wanted.get('host'),
        password=wanted.get('password'))


@forms.answer(None, 202)
def delete_user(req):
    """Delete a user; 202."""
    databases.delete_user(req.context, *_place(req))


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.GRANTS)
def list_grants(req):
    """List the databases that a user may use; 200."""
    return {'databases': _names(databases.show_user(req.context, *_place(req)))}


@validation.body(schemas.GRANT)
@forms.answer(None, 202)
def grant(req):
    """Let a user use databases; 202."""
    databases.grant(req.context, *_place(req), references.names(req.json['databases']))


@forms.answer(None, 202)
def revoke(req):
    """Let a user use a database no more; 202."""
    databases.revoke(req.context, *_place(req), req.path_params['database'])
