# SPDX-License-Identifier: Apache-2.0
"""Errors of the HTTP exchange itself, raised by the kernel only; what use cases raise is in
``exception.py``.
"""

from collections.abc import Mapping


class HTTPFault(Exception):
    """The request cannot be served for a reason that lies in HTTP.

    :param headers: sent with the answer, over and above the dialect's own
    """

    status = 500
    message = 'The server has either erred or is incapable of performing the requested operation.'

    def __init__(self, message: str | None = None, headers: Mapping[str, str] | None = None):
        self.message = message if message is not None else self.message
        self.headers = dict(headers or {})
        super().__init__(self.message)


class BadRequest(HTTPFault):
    status = 400
    message = 'The server could not comply with the request since it is malformed.'


class MalformedBody(BadRequest):
    message = 'Malformed request body'


class MalformedURL(BadRequest):
    message = 'Malformed request url'


class ForeignProject(MalformedURL):
    """The project in the URL is not that of the token.

    :param status: what the dialect answers then
    """

    def __init__(self, status: int):
        super().__init__()
        self.status = status


class ValidationFailed(BadRequest):
    """A body or a query does not match its schema."""


class RouteNotFound(HTTPFault):
    status = 404
    message = 'The resource could not be found.'


class MethodNotAllowed(HTTPFault):
    status = 405
    message = 'The method specified is not allowed for this resource.'


class VersionNotSupported(HTTPFault):
    """The microversion asked for is well formed and outside the dialect's bounds."""

    status = 406


class BodyTooLarge(HTTPFault):
    status = 413
    message = 'Request is too large.'


class UnsupportedContentType(HTTPFault):
    status = 415
    message = 'Unsupported Content-Type'


class BadGateway(HTTPFault):
    status = 502
    message = 'The service behind this address could not be reached.'


class GatewayTimeout(HTTPFault):
    status = 504
    message = 'The service behind this address did not answer in time.'


class UndeclaredResponse(Exception):
    """An answer differs from what its route declares: a defect of ours, found with ``[api]
    validate_responses``.
    """
