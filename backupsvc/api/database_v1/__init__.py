# SPDX-License-Identifier: Apache-2.0
"""The Database API v1, in two forms over one set of handlers.

``DIALECT`` speaks as the clients of OpenStack's database service expect, ``SPECIFIED`` as the
specification of the API is written: other statuses here and there, links as an object, the project
from the token alone. Both speak JSON and XML.
"""

from backupsvc.api.database_v1 import admission, faults, forms, routes, versions
from backupsvc.wsgi import dialect, xml

_REPRESENTATIONS = {
    xml.MEDIA_TYPE: xml.representation('http://docs.openstack.org/database/api/v1.0')}

DIALECT = dialect.Dialect(
    name='database_v1',
    title='Database API v1.0',
    mounts=('/v1.0/{tenant_id}', '/v1.0'),
    zone='public',
    routes=routes.ROUTES,
    faults=faults.FAULTS,
    content_types=('application/json', xml.MEDIA_TYPE),
    representations=_REPRESENTATIONS,
    version_entry=versions.entry,
    has_own_version=True,
    foreign_project_status=403,
    admit=admission.admit,
)

SPECIFIED = dialect.Dialect(
    name=forms.SPECIFIED,
    title='Database API v1, as specified',
    # Shared with the dialect "Backup service v1", whose resources have other names.
    mounts=('/v1',),
    zone='public',
    routes=routes.SPECIFIED,
    faults=faults.FAULTS,
    content_types=('application/json', xml.MEDIA_TYPE),
    representations=_REPRESENTATIONS,
    admit=admission.admit,
)
