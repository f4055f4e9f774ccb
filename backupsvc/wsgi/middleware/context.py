# SPDX-License-Identifier: Apache-2.0
"""From what Keystone's middleware found out about the token to the request context."""

import json
from collections.abc import Callable
from typing import Any

from backupsvc import context
from backupsvc.wsgi import root


class KeystoneContext:
    """WSGI filter after ``keystonemiddleware.auth_token``, which has refused every request without
    a valid token already.
    """

    def __init__(self, application: Callable):
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Attach the context and go on."""
        catalog = environ.get('HTTP_X_SERVICE_CATALOG')
        environ[root.CONTEXT] = context.RequestContext.from_environ(
            environ,
            request_id=environ.get('openstack.request_id'),
            global_request_id=environ.get('openstack.global_request_id'),
            service_catalog=json.loads(catalog) if catalog else None,
        )
        return self.application(environ, start_response)
