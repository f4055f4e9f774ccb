# SPDX-License-Identifier: Apache-2.0
"""The dialect's entry in version documents; it has no microversions."""


def entry(req) -> dict:
    """Return the entry."""
    return {
        'id': 'v1.0',
        'status': 'CURRENT',
        'updated': '2012-08-01T00:00:00Z',
        'links': [{'rel': 'self', 'href': f'{req.application_url}/v1.0/'}],
    }
