# SPDX-License-Identifier: Apache-2.0
"""Rates: who asks too often is told so before anything else is looked at."""

from backupsvc.orchestration import rates


def admit(req) -> None:
    """Count a request of a project.

    :raises RateLimitExceeded: there were too many of its method
    """
    if req.context is not None:
        rates.count(req.context, req.method)
