# SPDX-License-Identifier: Apache-2.0
"""Every installed dialect and its rows, for the gates that look at them.

Rows are those that the default configuration serves: what another one serves in their place is
forwarded, and what it takes and answers is declared by the service behind.
"""

from collections.abc import Iterator

import pytest

from backupsvc import conf as service_conf
from backupsvc.drivers import loader
from backupsvc.wsgi import root, validation
from backupsvc.wsgi.dialect import Dialect, Route, Version


def _configuration():
    conf = service_conf.new_config()
    loader.register_options(conf)
    conf([], project='backupsvc', default_config_files=[], default_config_dirs=[])
    return conf


_CONF = _configuration()

DIALECTS = [point.load() for _, point in sorted(root.installed_dialects().items())]


def rows() -> list:
    """Return a pytest parameter (dialect, row) of every row, named after it."""
    return [
        pytest.param(dialect, row, id=f'{dialect.name} {name(row)}')
        for dialect in DIALECTS
        for row in served(dialect)
    ]


def declared_rows() -> list:
    """Return the parameters of ``rows`` without the rows that are handed on as a whole: what they
    take and answer, and to whom, is for the service behind to say.
    """
    return [each for each in rows() if not _is_handed_on(each.values[1])]


def _is_handed_on(row: Route) -> bool:
    rules = validation.rules_of(row.handler)
    return bool(row.forwarded) and not (rules.body or rules.query or rules.response)


def served(dialect: Dialect) -> list[Route]:
    """Return the rows of a dialect."""
    return root.served_rows(dialect, _CONF)


def name(row: Route) -> str:
    """Return what a row is called in the output of a test."""
    return ' '.join(filter(None, (row.method, row.path, row.action)))


def versions(dialect: Dialect) -> Iterator[Version | None]:
    """Yield every microversion of a dialect; one None where there are none."""
    if dialect.versions is None:
        yield None
        return
    (major, first), (last_major, last) = dialect.versions.minimum, dialect.versions.maximum
    assert major == last_major
    yield from ((major, minor) for minor in range(first, last + 1))
