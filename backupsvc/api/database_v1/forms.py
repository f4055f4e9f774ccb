# SPDX-License-Identifier: Apache-2.0
"""The two forms of the dialect: what a handler answers in each, and the rows of each."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backupsvc.wsgi import validation
from backupsvc.wsgi.dialect import Route

#: Name of the dialect object that has the form of the specification.
SPECIFIED = 'database_v1_specified'


def is_specified(req) -> bool:
    """Tell whether a request came in by the form of the specification."""
    return req.dialect.name == SPECIFIED


def answer(
    schema: Mapping[str, Any] | None, status: int = 200, *, specified: Any = ...,
    specified_status: int | None = None,
) -> Callable[[Callable], Callable]:
    """Declare the answer of a handler, and where it differs the one in the form of the
    specification.
    """
    def decorate(handler: Callable) -> Callable:
        handler = validation.response(schema, status=status)(handler)
        handler.specified = validation.Rule(  # type: ignore[attr-defined]
            schema if specified is ... else specified, status=specified_status or status)
        return handler
    return decorate


def specified_rows(rows: Iterable[Route]) -> list[Route]:
    """Return rows with the answers that their handlers have in the form of the specification."""
    return [dataclasses.replace(row, handler=_specified(row.handler)) for row in rows]


def _specified(handler: Callable) -> Callable:
    @functools.wraps(handler)
    def other(req):
        return handler(req)

    known = validation.rules_of(handler)
    other.rules = validation.Rules(  # type: ignore[attr-defined]
        body=known.body, query=known.query, response=[handler.specified])
    return other
