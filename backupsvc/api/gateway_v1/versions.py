# SPDX-License-Identifier: Apache-2.0
"""The gateway's place, and its entry in version documents."""

PREFIX = '/gateway/v1'


def entry(req) -> dict:
    """Return the dialect's entry of a version document."""
    return {
        'id': 'gateway-v1',
        'status': 'CURRENT',
        'updated': '2026-11-22T00:00:00Z',
        'links': [{'rel': 'self', 'href': f'{req.application_url}{PREFIX}/'}],
    }
