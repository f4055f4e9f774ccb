# SPDX-License-Identifier: Apache-2.0
"""Rows of backup records."""

from backupsvc.api.cinder_v3.backup_records import controller
from backupsvc.policies import backups as policies
from backupsvc.wsgi.dialect import Route

ROUTES = [
    Route('GET', '/backups/{backup_id}/export_record', controller.export_record,
          policies=(policies.EXPORT,), errors=(400,)),
    Route('POST', '/backups/import_record', controller.import_record,
          policies=(policies.IMPORT,), errors=(413, 503)),
    Route('POST', '/backups/export_record', controller.refuse_import, errors=(400,)),
]
