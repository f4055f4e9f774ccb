# SPDX-License-Identifier: Apache-2.0
"""Guru Meditation Reports: what a process does at this moment, written when SIGUSR2 asks."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg
from oslo_reports import guru_meditation_report as gmr
from oslo_reports import opts
from oslo_reports.generators import conf as conf_generators
from oslo_reports.models import with_default_views

from backupsvc import version

#: Seconds that a section may take: what hangs is what a report is asked for.
_PATIENCE_S = 5.0


class _Product:
    """What the report says that it is of."""

    def vendor_string(self) -> str:
        return 'OpenStack'

    def product_string(self) -> str:
        return 'backupsvc'

    def version_string_with_package(self) -> str:
        return version.version_string()


def set_up(conf: cfg.ConfigOpts, prog: str,
           describe_work: Callable[[], Mapping[str, Any]] | None = None) -> None:
    """Have SIGUSR2 write a report to standard error, or to ``[oslo_reports] log_dir``; main thread
    only.

    :param prog: begins the name of the file
    :param describe_work: returns what the process is doing, as plain values by name
    """
    opts.set_defaults(conf)  # which registers them
    gmr.TextGuruMeditation.register_section(
        'Configuration of the service', conf_generators.ConfigReportGenerator(conf))
    if describe_work is not None:
        gmr.TextGuruMeditation.register_section('Work', _section(describe_work))
    gmr.TextGuruMeditation.setup_autorun(_Product(), service_name=prog, conf=conf)


def _section(describe: Callable[[], Mapping[str, Any]]) -> Callable[[], Any]:
    """Return what makes a section of the report.

    The report is written by the main thread wherever that was interrupted, perhaps with a lock
    that the description needs: so another thread asks, and is not waited for for long.
    """
    def make() -> Any:
        found: dict[str, Any] = {}
        asking = threading.Thread(target=lambda: found.update(describe()), daemon=True)
        asking.start()
        asking.join(_PATIENCE_S)
        return with_default_views.ModelWithDefaultViews(
            data=dict(found) or {'': 'nothing' if not asking.is_alive() else 'no answer in time'})
    return make
