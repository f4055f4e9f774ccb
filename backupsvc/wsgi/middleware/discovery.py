# SPDX-License-Identifier: Apache-2.0
"""Version discovery without a token, and the version headers on answers that end before a dialect
sees the request.
"""

from collections.abc import Callable
from typing import Any

from backupsvc.wsgi import microversion, root


class Discovery:
    """WSGI filter in front of authentication.

    ``GET /`` and the dialects' version documents are public: clients read them to find out how to
    authenticate and what to ask for.
    """

    def __init__(self, application: Callable, versions: root.Root):
        self.application = application
        self.versions = versions

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Any:
        """Answer discovery; pass on the rest and complete its headers."""
        if self.versions.is_discovery(environ):
            return self.versions(environ, start_response)
        dialect = self.versions.dialect_of(environ)
        if dialect is None or not dialect.versions:
            return self.application(environ, start_response)

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if not any(name.lower() == microversion.HEADER.lower() for name, _ in headers):
                lowest = microversion.text(dialect.versions.minimum)
                headers = [
                    *headers,
                    (microversion.HEADER, f'{dialect.versions.service_type} {lowest}'),
                    ('Vary', microversion.HEADER),
                ]
            return (
                start_response(status, headers, exc_info)
                if exc_info
                else start_response(status, headers)
            )

        return self.application(environ, started)
