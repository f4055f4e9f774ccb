# SPDX-License-Identifier: Apache-2.0
"""Errors to answers: a domain error's category gives the status, the dialect gives the body, and
nothing else makes HTTP errors.
"""

import logging
from collections.abc import Callable
from typing import Any

import orjson
import webob

from backupsvc import exception
from backupsvc.wsgi import errors
from backupsvc.wsgi.dialect import Dialect

LOG = logging.getLogger(__name__)

#: Category → status; a dialect's own table is asked first, class by class from the most derived.
STATUSES: dict[type[Exception], int] = {
    exception.NotFound: 404,
    exception.Invalid: 400,
    exception.Forbidden: 403,
    exception.Conflict: 409,
    exception.OverQuota: 413,
    exception.Unavailable: 503,
    exception.Unsupported: 501,
}

UNEXPECTED = errors.HTTPFault.message


def status_of(error: Exception, dialect: Dialect | None) -> int:
    """Return the status of an error; 500 for what is neither a domain error nor one of the
    kernel's.
    """
    if dialect and dialect.faults.unreadable_status and isinstance(
        error, errors.BodyTooLarge | errors.UnsupportedContentType
    ):
        return dialect.faults.unreadable_status
    own = dialect.faults.statuses if dialect else {}
    for cls in type(error).__mro__:
        if cls in own:
            return own[cls]
        if cls in STATUSES:
            return STATUSES[cls]
    return error.status if isinstance(error, errors.HTTPFault) else 500


def message_of(error: Exception, dialect: Dialect | None) -> str:
    """Return the text of an error that the client may see."""
    own = dialect.faults.messages if dialect else {}
    if dialect and dialect.faults.body_message and isinstance(
        error, errors.MalformedBody | errors.ValidationFailed
    ):
        return dialect.faults.body_message
    for cls in type(error).__mro__:
        text: str | Callable[[Exception], str] | None = own.get(cls)
        if text is None:
            continue
        return text(error) if callable(text) else text % getattr(error, 'details', {})
    if isinstance(error, exception.BackupsvcError | errors.HTTPFault):
        return error.message
    return UNEXPECTED


def _plain(status: int, message: str, error: Exception | None) -> tuple[Any, dict[str, str]]:
    """The body of an error outside every dialect."""
    return {'error': {'code': status, 'message': message}}, {}


def render(
    error: Exception,
    dialect: Dialect | None,
    request_id: str | None = None,
    media_type: str = 'application/json',
) -> webob.Response:
    """Turn an error into the answer that the dialect's clients understand.

    :param media_type: one of the dialect's representations, or JSON

    What is neither a domain error nor one of the kernel's is logged with its traceback, which
    carries the request's id, and answered with 500 and no detail.
    """
    status = status_of(error, dialect)
    if not isinstance(error, exception.BackupsvcError | errors.HTTPFault):
        LOG.error('Unexpected error in request %s', request_id, exc_info=error)
    body, headers = (dialect.faults.render if dialect else _plain)(
        status, message_of(error, dialect), error
    )
    representation = dialect.representations.get(media_type) if dialect else None
    answer = webob.Response(
        status=status,
        body=representation.render(body) if representation else orjson.dumps(body),
        content_type=media_type if representation else 'application/json',
    )
    if isinstance(error, errors.HTTPFault):
        answer.headers.update(error.headers)
    if getattr(error, 'retry_after', None) is not None:
        answer.headers['Retry-After'] = str(error.retry_after)
    answer.headers.update(headers)
    return answer
