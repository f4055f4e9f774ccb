# SPDX-License-Identifier: Apache-2.0
"""The dialect's entry in version documents; there is one version and no microversions."""


def entry(req) -> dict:
    """Return the dialect's entry of a version document."""
    return {
        'id': 'v1.1',
        'status': 'SUPPORTED',
        'updated': '2012-09-03T00:00:00Z',
        'links': [{'rel': 'self', 'href': f'{req.application_url}/v1.1/'}],
    }
