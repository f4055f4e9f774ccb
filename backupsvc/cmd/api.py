# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-api``: the public API, the management application or both, each on an HTTP server of
the service's own, until SIGTERM or SIGINT.
"""

import logging
import sys

from oslo_config import cfg

from backupsvc import cmd, rpc
from backupsvc.cmd import reports, stopping
from backupsvc.wsgi import paste, server
from backupsvc.wsgi.middleware import noauth, operators

LOG = logging.getLogger(__name__)

#: Seconds beyond the shutdown timeout after which a stop counts as hanging.
_MARGIN_S = 30


def build_server(conf: cfg.ConfigOpts, name: str | None = None) -> server.Server:
    """Return the server of a trust zone's application as configured, not started.

    :param name: application of the paste file; None is that of ``[api] application``
    :raises ExposedWithoutAuthentication: it would listen without authentication beyond loopback
    """
    name = name or conf.api.application
    if name == paste.MANAGEMENT:
        operators.check_bind(conf, conf.management.bind_host)
        return server.Server(
            paste.loadapp(conf, name),
            conf.management.bind_host,
            conf.management.port,
            conf.management.threads,
            conf.api.shutdown_timeout,
        )
    noauth.check_bind(conf.api.auth_strategy, conf.api.bind_host)
    return server.Server(
        paste.loadapp(conf, name),
        conf.api.bind_host,
        conf.api.port,
        conf.api.threads,
        conf.api.shutdown_timeout,
    )


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal asks to stop; requests in flight are ended first."""
    conf = cmd.load_config(sys.argv[1:] if argv is None else argv, 'backupsvc-api')
    serving = [build_server(conf)]
    if conf.management.beside_api and conf.api.application != paste.MANAGEMENT:
        serving.append(build_server(conf, paste.MANAGEMENT))
    stop = stopping.StopRequest()
    reports.set_up(conf, 'backupsvc-api')
    for each in serving:
        each.start()
        LOG.info('Listening on %s', each.url)
    stop.wait()
    LOG.info('Stopping; waiting up to %d s for requests in flight', conf.api.shutdown_timeout)
    stopping.expect_end(len(serving) * conf.api.shutdown_timeout + _MARGIN_S)
    for each in serving:
        each.stop()
    rpc.flush()
    return 0


if __name__ == '__main__':
    sys.exit(main())
