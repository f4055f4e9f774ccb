# SPDX-License-Identifier: Apache-2.0
"""Export and import of the record of a backup."""

from backupsvc import exception
from backupsvc.api.cinder_v3.backup_records import schemas, views
from backupsvc.orchestration import records
from backupsvc.wsgi import validation


@validation.query(schemas.NO_QUERY)
@validation.response(schemas.EXPORTED)
def export_record(req):
    """Show the record of a backup; 200."""
    return views.record(records.export(req.context, req.path_params['backup_id']))


@validation.body(schemas.IMPORT)
@validation.response(schemas.IMPORTED, status=201)
def import_record(req):
    """Make a backup from a record; 201 with its summary, while a manager checks the data."""
    wanted = req.json['backup-record']
    backup = records.import_record(
        req.context, wanted['backup_service'], wanted['backup_url'])
    return views.imported(req, backup)


@validation.response(None, status=400)
def refuse_import(req):
    """Say what is wrong with an import that openstacksdk sends to the address of exports; 400.

    Its ``import_backup`` overwrites the record with the address: there is nothing to import.
    """
    raise exception.Invalid(
        'Records are imported by POST to /backups/import_record. Releases of openstacksdk up to '
        'at least 4.22 post to /backups/export_record and send that address in place of the '
        'record: the record did not arrive. Use "cinder backup-import", or the API.')
