# SPDX-License-Identifier: Apache-2.0
"""The book in which volume drivers keep holds that the cloud has no room for: our own records."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from backupsvc import context as request_context
from backupsvc.drivers.base import HoldBook, HoldRecord
from backupsvc.objects import volume_holds


class RecordedHolds(HoldBook):
    """Holds in the service's database, one book for all of its processes."""

    def take(self, record: HoldRecord) -> HoldRecord:
        return HoldRecord(**volume_holds.take(_context(), **dataclasses.asdict(record)))

    def find(self, resource_id: str) -> HoldRecord | None:
        row = volume_holds.find(_context(), resource_id)
        return None if row is None else HoldRecord(**row)

    def change(self, resource_id: str, holder: str, **values: Any) -> bool:
        return volume_holds.change(_context(), resource_id, holder, **values)

    def drop(self, resource_id: str, holder: str) -> bool:
        return volume_holds.drop(_context(), resource_id, holder)

    def records(self) -> Sequence[HoldRecord]:
        return [HoldRecord(**row) for row in volume_holds.all_(_context())]


def _context() -> request_context.RequestContext:
    return request_context.get_admin_context()
