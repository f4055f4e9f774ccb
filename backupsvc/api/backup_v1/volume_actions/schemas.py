# SPDX-License-Identifier: Apache-2.0
"""Schemas of actions on volumes."""

from backupsvc.api.backup_v1 import shapes
from backupsvc.wsgi import parameter_types

ROLLBACK = shapes.under('rollback', shapes.closed({'snapshot_id': parameter_types.uuid}))
