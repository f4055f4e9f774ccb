# SPDX-License-Identifier: Apache-2.0
"""What may be sent while managers of an older release run: the pin of the messages, and with it
the versions of the records in them.
"""

import threading
import time
from collections.abc import Mapping

from oslo_db import exception as db_exception
from oslo_log import log
from oslo_utils import versionutils

from backupsvc import conf, context
from backupsvc.objects.service import ServiceList

LOG = log.getLogger(__name__)

BINARY = 'backupsvc-manager'

#: Version of the messages → versions of the records that travel in them. A new version of a record
#: comes with a new version of the messages, also where no message changes.
RECORDS: dict[str, dict[str, str]] = {
    '1.0': {'Task': '1.0'},
    '1.1': {'Task': '1.0', 'DatabaseInstance': '1.0'},
    '1.2': {'Task': '1.0', 'DatabaseInstance': '1.0'},
}

#: Seconds for which the versions of the live managers are not looked at again.
_TRUSTED_S = 10.0

_lock = threading.Lock()
_seen: tuple[float, str | None] = (0.0, None)


def key(version: str) -> tuple[int, ...]:
    """Return what orders versions."""
    return versionutils.convert_version_to_tuple(version)


def newest() -> str:
    """Return the version that this release speaks."""
    return max(RECORDS, key=key)


def pin() -> str:
    """Return the version that nothing that is sent may be above."""
    chosen = conf.current().upgrade_levels.manager
    return min((chosen if chosen != 'auto' else _lowest() or newest()), newest(), key=key)


def can_send(version: str) -> bool:
    """Tell whether every manager understands what a version has added."""
    return key(version) <= key(pin())


def records() -> Mapping[str, str] | None:
    """Return the versions that records have to be sent in; None where all are as they are."""
    version = pin()
    if version == newest():
        return None
    known = [each for each in RECORDS if key(each) <= key(version)]
    return RECORDS[max(known, key=key)] if known else {}


def reset() -> None:
    """Look at the managers again."""
    global _seen
    with _lock:
        _seen = (0.0, None)


def _lowest() -> str | None:
    """Return the lowest version of the live managers, None where none is known."""
    global _seen
    with _lock:
        looked_at, version = _seen
        if looked_at and time.monotonic() - looked_at < _TRUSTED_S:
            return version
        try:
            versions = [service.rpc_version for service in ServiceList.get_all(
                context.get_admin_context(), {'binary': BINARY})
                if service.is_up and service.rpc_version]
        except db_exception.DBError as away:
            LOG.warning('The versions of the managers are not known: %s', away)
            return version
        version = min(versions, key=key) if versions else None
        _seen = (time.monotonic(), version)
        return version
