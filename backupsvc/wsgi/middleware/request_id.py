# SPDX-License-Identifier: Apache-2.0
"""oslo.middleware's request id, under the second name that cinderclient and novaclient look for as
well.
"""

from oslo_middleware import request_id


class RequestId(request_id.RequestId):
    """WSGI filter that gives every request an id and every answer ``x-openstack-request-id`` and
    ``x-compute-request-id``.
    """

    compat_headers = ['x-compute-request-id']
