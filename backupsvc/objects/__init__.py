# SPDX-License-Identifier: Apache-2.0
"""Versioned records: the only way to the database for everything above.

``from backupsvc.objects import backup``; the classes are registered when their module is imported.
"""

import importlib
import pkgutil
import warnings

from oslo_service import backend

# The libraries of records and messages load oslo.service, which would take eventlet by default.
backend.register_backend_default_hook(lambda: backend.BackendType.THREADING)
# futurist, below them, only asks whether eventlet is in use; importing it for that warns.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')


def register_all() -> None:
    """Import every module here, so that an object of any kind can be received."""
    for info in pkgutil.iter_modules(__path__):
        importlib.import_module(f'{__name__}.{info.name}')
