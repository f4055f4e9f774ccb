# SPDX-License-Identifier: Apache-2.0
"""Resource filters as a body."""


def collection(filters: dict) -> dict:
    """Return what every resource can be filtered by."""
    return {
        'resource_filters': [
            {'resource': resource, 'filters': list(names)} for resource, names in filters.items()
        ]
    }
