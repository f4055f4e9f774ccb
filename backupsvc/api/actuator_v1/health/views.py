# SPDX-License-Identifier: Apache-2.0
"""Health as Spring Boot's actuator shows it."""

UP = 'UP'

_STATUSES = {True: UP, False: 'DOWN', None: 'UNKNOWN'}


def health(components) -> dict:
    """Return the status of the whole, which is down when one thing is, and of each thing."""
    is_up = not any(component.is_up is False for component in components)
    return {
        'status': _STATUSES[is_up],
        'components': {
            component.name: {
                'status': _STATUSES[component.is_up],
                'details': component.details,
            }
            for component in components
        },
    }
