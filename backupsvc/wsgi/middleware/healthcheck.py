# SPDX-License-Identifier: Apache-2.0
"""oslo.middleware's health check at ``/healthcheck``, in front of authentication so that load
balancers can ask it.
"""

from collections.abc import Callable
from typing import Any

PATH = '/healthcheck'


class HealthcheckPath:
    """WSGI filter that gives one path to the health check and the rest to the application."""

    def __init__(self, application: Callable, check: Callable):
        self.application = application
        self.check = check

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Dispatch by path."""
        target = self.check if environ.get('PATH_INFO') == PATH else self.application
        return target(environ, start_response)
