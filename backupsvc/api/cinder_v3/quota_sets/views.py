# SPDX-License-Identifier: Apache-2.0
"""Quota sets as Cinder v3 shows them."""

#: Resources that clients expect to be named and that nobody can have here.
ABSENT = ('groups',)


def limits(quotas: dict[str, int]) -> dict:
    """Return limits alone."""
    return {**dict(quotas), **dict.fromkeys(ABSENT, 0)}


def usage(quotas: dict) -> dict:
    """Return limits with what is used of them; nothing is ever reserved."""
    shown = {
        name: {'limit': quota.limit, 'in_use': quota.in_use, 'reserved': 0}
        for name, quota in quotas.items()
    }
    absent = {name: {'limit': 0, 'in_use': 0, 'reserved': 0} for name in ABSENT}
    return {**shown, **absent}
