# SPDX-License-Identifier: Apache-2.0
"""The version of the installed service, as users and peers see it."""

import importlib.metadata


def version_string() -> str:
    """Return the version of the installed distribution, for example ``0.1.0``."""
    return importlib.metadata.version('backupsvc')
