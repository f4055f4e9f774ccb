# SPDX-License-Identifier: Apache-2.0
"""The HP Volume Backup dialect: six calls, integer ids, JSON only."""

from backupsvc.api.hp_v1_1 import faults, versions
from backupsvc.api.hp_v1_1.backups import routes
from backupsvc.wsgi import dialect

DIALECT = dialect.Dialect(
    name='hp_v1_1',
    title='HP Volume Backup v1.1',
    mounts=('/v1.1/{tenant_id}', '/v1.1'),
    zone='public',
    routes=routes.ROUTES,
    faults=faults.FAULTS,
    # Its documented examples are calls of curl -d.
    loose_types=('application/x-www-form-urlencoded',),
    version_entry=versions.entry,
)
