# SPDX-License-Identifier: Apache-2.0
"""Wakes, cancels and notifications over a real broker, and over one that goes away."""

import threading
import types

import oslo_messaging as messaging
import pytest
from oslo_utils import uuidutils

from backupsvc import context as request_context
from backupsvc import rpc, states
from backupsvc.manager import flows, service
from backupsvc.objects.task import Task
from backupsvc.rpc import notifications
from tests.fixtures.deployment import eventually

pytestmark = pytest.mark.services

KIND = 'exercise'


@pytest.fixture
def flow(monkeypatch):
    made = types.SimpleNamespace(
        run=lambda work: work.persist(work.task.finish),
        fail=lambda work, failure: work.persist(lambda: work.task.fail(failure.reason)),
        cancel=lambda work: work.persist(work.task.cancel))
    monkeypatch.setitem(flows.FLOWS, KIND, made)
    return made


@pytest.fixture
def start(flow):
    started = []

    def make(conf):
        manager = service.ManagerService(conf)
        started.append(manager)
        manager.start()
        eventually(lambda: manager._server is not None)
        return manager

    yield make
    for manager in started:
        manager.stop()


def queue(host):
    task = Task(request_context.get_admin_context(), kind=KIND, host_affinity=host,
                resource_id=uuidutils.generate_uuid(), arguments={})
    task.create()
    return task


def state(task):
    return Task.get_by_id(request_context.get_admin_context(), task.id).state


def test_wake_reaches_the_manager_of_the_host(make_conf, host, start):
    start(make_conf(sweep_interval=3600))
    for _ in range(3):
        task = queue(host)
        rpc.manager_api().wake(request_context.get_admin_context(), task)
        eventually(lambda: state(task) == states.DONE)  # noqa: B023 - called before the next


def test_cancel_reaches_running_work(make_conf, host, start, flow):
    begun = threading.Event()

    def run(work):
        begun.set()
        work.wait(30)

    flow.run = run
    start(make_conf(sweep_interval=3600, lease_duration=3600))
    context = request_context.get_admin_context()
    task = queue(host)
    rpc.manager_api().wake(context, task)
    assert begun.wait(30)
    Task.request_cancel(context, task.resource_id)
    rpc.manager_api().cancel(context, task.id)
    eventually(lambda: state(task) == states.CANCELLED)


def test_broker_that_went_away_delays_work_until_the_sweep(make_conf, host, start, relay):
    from tests.services.rabbitmq.conftest import transport_url
    start(make_conf(url=transport_url(relay.port), sweep_interval=1))
    context = request_context.get_admin_context()
    relay.cut()
    task = queue(host)
    rpc.manager_api().wake(context, task)
    eventually(lambda: state(task) == states.DONE)
    relay.mend()
    assert rpc.flush(60)


def test_notification_is_published(make_conf, host):
    exchange = f'exchange-{host}'
    make_conf(extra=f"""
[oslo_messaging_notifications]
driver = messagingv2
topics = {host}
""")
    received = []

    class Endpoint:
        def info(self, context, publisher, event, payload, metadata):
            received.append((publisher, event, payload))

    transport = messaging.get_notification_transport(rpc._prepared_conf())
    listener = messaging.get_notification_listener(
        transport, [messaging.Target(topic=host, exchange='backupsvc')], [Endpoint()],
        executor='threading')
    listener.start()
    try:
        notifications.notify(request_context.get_admin_context(), 'backup.create.start',
                             {'backup_id': exchange})
        eventually(lambda: received)
        assert received == [(f'backup.{host}', 'backup.create.start', {'backup_id': exchange})]
    finally:
        listener.stop()
        listener.wait()
        transport.cleanup()
