# SPDX-License-Identifier: Apache-2.0
"""Asks the message broker whether it takes us in: connects, authenticates and hangs up."""

import contextlib

import oslo_messaging as messaging
from oslo_config import cfg

from backupsvc import conf, exception, rpc

_PORT = 5672


def check(timeout_s: float) -> str:
    """Return who answered: the broker's host and port, or that there is none to ask.

    :param timeout_s: seconds for each of the configured brokers; one that answers is enough
    :raises MessageNotSent: none answers, each with the reason
    :raises Unsupported: there is no way to ask this transport
    """
    ours = conf.current()
    rpc.transport()  # registers what the library reads
    url = messaging.TransportURL.parse(ours)
    if url.transport == 'fake':
        return 'this process'
    if url.transport != 'rabbit':
        raise exception.Unsupported(f'There is no way to ask the transport "{url.transport}".')
    is_encrypted = False
    with contextlib.suppress(cfg.NoSuchGroupError, cfg.NoSuchOptError):
        is_encrypted = bool(ours.oslo_messaging_rabbit.ssl)
    refusals = []
    for host in url.hosts:
        name = f'{host.hostname}:{host.port or _PORT}'
        try:
            _connect(host, url.virtual_host, is_encrypted, timeout_s)
        except Exception as refused:  # kombu, amqp, ssl and the sockets each have their own
            refusals.append(f'{name}: {refused or type(refused).__name__}')
        else:
            return name
    raise exception.MessageNotSent(reason='; '.join(refusals))


def _connect(
    host: messaging.TransportHost, virtual_host: str | None, is_encrypted: bool, timeout_s: float,
) -> None:
    import kombu  # what oslo.messaging speaks to this broker with
    connection = kombu.Connection(
        hostname=host.hostname, port=host.port or _PORT, userid=host.username,
        password=host.password, virtual_host=virtual_host or '/', ssl=is_encrypted,
        connect_timeout=timeout_s,
        transport_options={'read_timeout': timeout_s, 'write_timeout': timeout_s})
    with contextlib.closing(connection):
        connection.connect()
