# SPDX-License-Identifier: Apache-2.0
"""Instances: list, show, create, update, delete."""

from backupsvc import exception
from backupsvc.api.database_v1 import forms, listing, references, shapes
from backupsvc.api.database_v1 import views as common
from backupsvc.api.database_v1.instances import schemas, views
from backupsvc.orchestration import database_instances
from backupsvc.wsgi import validation

#: What other services do with an instance and this one does not: to leave it out would be to give
#: something else than was asked for.
_NOT_MADE = ('configuration', 'replica_of', 'slave_of', 'nics', 'modules', 'locality')
_NOT_CHANGED = ('configuration', 'replica_of', 'slave_of', 'datastore_version', 'access')


@validation.query(shapes.LIST_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_instances(req):
    """List instances by id; 200."""
    limit = listing.limit(req)
    found = database_instances.list_(req.context, limit, req.query.get('marker'))
    return common.page(req, 'instances', [views.item(req, instance) for instance in found],
                       listing.next_marker(found, limit, lambda last: last.id))


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW, specified=schemas.SPECIFIED_SHOW)
def show_instance(req):
    """Show an instance and how much of its volume it uses; 200."""
    instance = database_instances.get(req.context, req.path_params['instance_id'])
    used_bytes = database_instances.used_bytes(req.context, instance)
    return {'instance': views.detail(req, instance, used_bytes)}


@validation.body(schemas.CREATE)
@forms.answer(schemas.SHOW, specified=schemas.SPECIFIED_SHOW)
def create_instance(req):
    """Start to make an instance, empty or from a backup; 200 with what is known of it by now."""
    wanted = req.json['instance']
    if any(wanted.get(name) for name in _NOT_MADE):
        raise exception.Unsupported()
    datastore = wanted.get('datastore') or {}
    restore = wanted.get('restorePoint')
    instance = database_instances.create(req.context, database_instances.NewInstance(
        name=wanted['name'],
        flavor_id=references.last_segment(wanted['flavorRef']),
        volume_gb=int(wanted['volume']['size']),
        databases=references.databases(wanted.get('databases', ())),
        users=references.users(wanted.get('users', ())),
        backup_id=references.last_segment(restore['backupRef']) if restore else None,
        availability_zone=wanted.get('availability_zone'),
        datastore=(datastore.get('type'), datastore.get('version')),
    ))
    return {'instance': views.detail(req, instance)}


@validation.body(schemas.UPDATE)
@forms.answer(None, 202, specified=schemas.SPECIFIED_SHOW, specified_status=200)
def update_instance(req):
    """Change the name; 202, or 200 with the instance in the form of the specification."""
    wanted = req.json['instance']
    if any(name in wanted for name in _NOT_CHANGED):
        raise exception.Unsupported()
    instance = database_instances.get(req.context, req.path_params['instance_id'])
    if 'name' in wanted:
        instance = database_instances.update(req.context, instance.id, wanted['name'])
    return {'instance': views.detail(req, instance)} if forms.is_specified(req) else None


@forms.answer(None, 202)
def delete_instance(req):
    """Start to delete an instance with all that it holds; 202."""
    database_instances.delete(req.context, req.path_params['instance_id'])
