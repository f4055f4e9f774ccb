# SPDX-License-Identifier: Apache-2.0
"""The metadata filter of a list: pairs that an item must all have, in whichever of the usual forms
they are written.
"""

import ast
import json
import re
from collections.abc import MutableMapping

from backupsvc import exception

_PAIR = re.compile(r'metadata\[(.+)\]\Z', re.DOTALL)


def take(query: MutableMapping[str, str]) -> dict[str, str] | None:
    """Take the pairs out of ``query``: ``metadata[key]=value``, or ``metadata`` as an object of
    JSON or of Python; None when there is no such filter.

    :raises InvalidInput: ``metadata`` is neither
    """
    pairs: dict[str, str] = {}
    found = False
    for name in list(query):
        match = _PAIR.match(name)
        if match:
            pairs[match[1]] = query.pop(name)
            found = True
    if 'metadata' in query:
        pairs.update(_literal(query.pop('metadata')))
        found = True
    return pairs if found else None


def _literal(text: str) -> dict[str, str]:
    try:
        try:
            value = json.loads(text)
        except ValueError:
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        value = None
    if not isinstance(value, dict) or not all(
        isinstance(part, str) for pair in value.items() for part in pair
    ):
        raise exception.InvalidInput(
            reason='the metadata filter must be an object of strings, for example '
            '{"key": "value"}'
        )
    return value
