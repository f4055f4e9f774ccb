# SPDX-License-Identifier: Apache-2.0
"""The API gateway v1: snapshots, backups and volumes of two services under one address."""

from backupsvc.api.gateway_v1 import faults, routes, versions
from backupsvc.wsgi import dialect

DIALECT = dialect.Dialect(
    name='gateway_v1',
    title='API gateway v1',
    mounts=(versions.PREFIX,),
    zone='public',
    routes=routes.ROUTES,
    faults=faults.FAULTS,
    content_types=('application/json', 'application/vnd.openstack.volume+json'),
    version_entry=versions.entry,
)
