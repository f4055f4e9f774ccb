# SPDX-License-Identifier: Apache-2.0
"""The Cinder v3 dialect: backups, their metadata, and the volumes beside them."""

from backupsvc.api.cinder_v3 import faults, forwarding, routes, versions
from backupsvc.wsgi import dialect

DIALECT = dialect.Dialect(
    name='cinder_v3',
    title='Cinder v3',
    # Cinder's project ids are hexadecimal and dashes, so that no resource name can be one.
    mounts=('/v3/{project_id:[0-9a-f\\-]+}', '/v3'),
    zone='public',
    routes=routes.ROUTES,
    faults=faults.FAULTS,
    content_types=('application/json', 'application/vnd.openstack.volume+json'),
    versions=versions.VERSIONS,
    version_entry=versions.entry,
    fallback=forwarding.fallback,
)
