# SPDX-License-Identifier: Apache-2.0
"""Schemas of snapshot metadata."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.wsgi import parameter_types

SET = shapes.under('metadata', parameter_types.metadata)
SET_ITEM = shapes.under('meta', {
    **parameter_types.metadata, 'minProperties': 1, 'maxProperties': 1})

_PAIRS = {'type': 'object', 'additionalProperties': {'type': 'string'}}
ALL = shapes.under('metadata', _PAIRS)
ITEM = shapes.under('meta', _PAIRS)
