# SPDX-License-Identifier: Apache-2.0
"""Limits of the caller's project: what it may have, and how often it may ask."""

from backupsvc.api.database_v1 import forms, shapes, views
from backupsvc.api.database_v1.limits import schemas
from backupsvc.orchestration import rates
from backupsvc.wsgi import validation


@validation.query(shapes.ANY_QUERY)
@forms.answer(schemas.SHOW)
def show_limits(req):
    """Show limits and what is left of the rates; 200."""
    found = rates.limits(req.context)
    return {'limits': [
        {'verb': 'ABSOLUTE', **{f'max_{name}': most for name, most in found.absolute.items()}},
        *({'verb': rate.verb, 'uri': '*', 'regex': '.*', 'value': rate.limit,
           'remaining': rate.remaining, 'unit': rate.unit,
           'nextAvailable': views.date(rate.available_at) + 'Z'} for rate in found.rates)]}
