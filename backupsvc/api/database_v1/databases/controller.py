# SPDX-License-Identifier: Apache-2.0
"""Databases of an instance: list, create, delete."""

from backupsvc.api.database_v1 import forms, listing, references, shapes, views
from backupsvc.api.database_v1.databases import schemas
from backupsvc.orchestration import databases
from backupsvc.wsgi import validation


@validation.query(shapes.LIST_QUERY)
@forms.answer(schemas.LIST, specified=schemas.SPECIFIED_LIST)
def list_databases(req):
    """List the names of databases; 200."""
    limit = listing.limit(req)
    found = databases.list_(
        req.context, req.path_params['instance_id'], limit, req.query.get('marker'))
    return views.page(req, 'databases', [{'name': database.name} for database in found],
                      listing.next_marker(found, limit, lambda last: last.name))


@validation.body(schemas.CREATE)
@forms.answer(None, 202)
def create_databases(req):
    """Make databases, all or none; 202."""
    databases.create(req.context, req.path_params['instance_id'],
                     references.databases(req.json['databases']))


@forms.answer(None, 202)
def delete_database(req):
    """Delete a database with all that it holds; 202."""
    databases.delete(
        req.context, req.path_params['instance_id'], req.path_params['database'])
