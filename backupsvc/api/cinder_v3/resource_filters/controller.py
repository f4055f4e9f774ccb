# SPDX-License-Identifier: Apache-2.0
"""What users may filter lists by."""

from backupsvc.api.cinder_v3 import listing
from backupsvc.api.cinder_v3.resource_filters import schemas, views
from backupsvc.wsgi import validation


@validation.query(schemas.LIST_QUERY)
@validation.response(schemas.LIST)
def list_resource_filters(req):
    """List the filters of all resources, or of one; 200."""
    wanted = req.query.get('resource')
    return views.collection({
        resource: names for resource, names in listing.FILTERS.items()
        if wanted in (None, resource)
    })
