# SPDX-License-Identifier: Apache-2.0
"""A deployment on MariaDB and RabbitMQ, and a relay to the broker that a test can cut."""

import select
import socket
import threading
import uuid

import pytest

from tests.fixtures import database, deployment, processes

BROKER = ('127.0.0.1', 5672)


def transport_url(port=BROKER[1]):
    return f'rabbit://guest:guest@127.0.0.1:{port}/'


@pytest.fixture
def host():
    """A host name that no other test uses: the queue of its manager is called after it."""
    return f'test-{uuid.uuid4().hex[:12]}'


@pytest.fixture
def mariadb(tmp_path):
    """The URL of an empty database."""
    with database.blank('mysql', tmp_path) as url:
        yield url


class Relay:
    """Passes bytes to the broker and back until it is cut; then refuses, until it is mended.

    :ivar seen: all that was passed so far
    """

    def __init__(self):
        self.seen = bytearray()
        self._lock = threading.Lock()
        self._pairs = []
        self._listener = None
        self.port = processes.free_port()
        self.mend()

    def mend(self):
        self._listener = socket.create_server(('127.0.0.1', self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._pairs:
                one.close()
            self._pairs.clear()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(BROKER)
            with self._lock:
                self._pairs += [near, far]
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        try:
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    self.seen += data
                    (far if source is near else near).sendall(data)
        except (OSError, ValueError):  # cut, or one side has closed
            return
        finally:
            near.close()
            far.close()


@pytest.fixture
def relay():
    made = Relay()
    yield made
    made.cut()


@pytest.fixture
def make_conf(tmp_path, host, mariadb):
    """Return what installs the configuration of the test's deployment."""
    from contextlib import ExitStack
    with ExitStack() as stack:
        def make(url=None, extra='', **manager):
            path = deployment.write_config(
                tmp_path, host=host, connection=mariadb, transport_url=url or transport_url(),
                extra=extra, **manager)
            return stack.enter_context(deployment.deployed(path))
        yield make
