# SPDX-License-Identifier: Apache-2.0
"""Microversion negotiation: what the ``OpenStack-API-Version`` header asks for, within a dialect's
bounds.
"""

import re

from backupsvc.wsgi import errors
from backupsvc.wsgi.dialect import Version, Versions

HEADER = 'OpenStack-API-Version'

_NUMBER = re.compile(r'([1-9]\d{0,8})\.(0|[1-9]\d{0,8})\Z', re.ASCII)


def text(version: Version) -> str:
    """Write a version as ``3.43``."""
    return f'{version[0]}.{version[1]}'


def negotiate(header: str | None, versions: Versions) -> Version:
    """Return the version that a request asks for.

    The header lists services with a version each, separated by commas; only the entry of the
    dialect's own service counts. Without one the request gets the lowest version, as clients that
    do not know of microversions expect. ``latest`` is the highest.

    :raises BadRequest: the entry has no version, more than one, or one that is not a number
    :raises VersionNotSupported: the version lies outside the bounds
    """
    for entry in (header or '').split(','):
        words = entry.split()
        if words and words[0].lower() == versions.service_type:
            return _parse(' '.join(words[1:]), versions)
    return versions.minimum


def _parse(wanted: str, versions: Versions) -> Version:
    if wanted == 'latest':
        return versions.maximum
    match = _NUMBER.match(wanted)
    if match is None:
        raise errors.BadRequest(
            f'API Version String {wanted} is of invalid format. '
            'Must be of format MajorNum.MinorNum.'
        )
    version = int(match[1]), int(match[2])
    if not versions.minimum <= version <= versions.maximum:
        raise errors.VersionNotSupported(
            f'Version {wanted} is not supported by the API. '
            f'Minimum is {text(versions.minimum)} and maximum is {text(versions.maximum)}.'
        )
    return version
