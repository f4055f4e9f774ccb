# SPDX-License-Identifier: Apache-2.0
"""The dialect "Backup service v1": backups of volumes and of whole instances, volumes made of
them, and volumes and instances put back to a snapshot.
"""

from backupsvc.api.backup_v1 import faults, forwarding, routes, versions
from backupsvc.wsgi import dialect

DIALECT = dialect.Dialect(
    name='backup_v1',
    title='Backup service v1',
    # Shared with the database dialect, whose resources have other names.
    mounts=('/v1',),
    zone='public',
    routes=routes.ROUTES,
    faults=faults.FAULTS,
    version_entry=versions.entry,
    fallback=forwarding.fallback,
)
