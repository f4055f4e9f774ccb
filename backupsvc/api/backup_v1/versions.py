# SPDX-License-Identifier: Apache-2.0
"""The version entry of the dialect; it has no microversions."""


def entry(req) -> dict:
    """Return the dialect's entry of a version document."""
    return {
        'id': 'v1.0',
        'status': 'CURRENT',
        'updated': '2026-11-22T00:00:00Z',
        'links': [{'rel': 'self', 'href': f'{req.application_url}/v1/'}],
        'media-types': [{'base': 'application/json', 'type': 'application/json'}],
    }
