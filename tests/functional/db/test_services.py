# SPDX-License-Identifier: Apache-2.0
"""Services live as long as they are seen."""

import threading

import pytest

from backupsvc import exception
from backupsvc.db import engine, models
from backupsvc.objects.service import Service, ServiceList
from tests.functional.db import records


def test_the_first_heartbeat_registers(admin):
    service = Service.heartbeat(admin, 'h', 'b', topic='t', availability_zone='nova',
                                rpc_version='1.0')
    [found] = ServiceList.get_all(admin)
    assert (found.id, found.host, found.binary, found.topic) == (service.id, 'h', 'b', 't')
    assert found.report_count == 1 and found.is_up and found.is_usable and not found.disabled


def test_later_heartbeats_count_and_change(admin):
    first = Service.heartbeat(admin, 'h', 'b', topic='t')
    second = Service.heartbeat(admin, 'h', 'b', topic='u')
    assert (second.id, second.report_count, second.topic) == (first.id, 2, 'u')
    assert second.last_seen_at >= first.last_seen_at


def test_hosts_and_binaries_are_services_of_their_own(admin):
    for host, binary in (('h', 'b'), ('H', 'b'), ('h', 'a')):
        Service.heartbeat(admin, host, binary)
    assert [(found.binary, found.host) for found in ServiceList.get_all(admin)] == [
        ('a', 'h'), ('b', 'H'), ('b', 'h')]
    assert len(ServiceList.get_all(admin, {'host': 'h', 'binary': ['a', 'c']})) == 1


def test_who_is_not_seen_is_down(admin, any_database):
    Service.heartbeat(admin, 'h', 'b')
    with engine.get_engine().begin() as connection:
        connection.execute(models.services.update().values(last_seen_at=records.ago(100)))
    [service] = ServiceList.get_all(admin)
    assert 99 < service.seconds_since_seen < 160
    any_database.set_override('service_down_time', 30, 'manager')
    assert not service.is_up and not service.is_usable
    any_database.set_override('service_down_time', 1000, 'manager')
    assert service.is_up


def test_a_disabled_one_is_up_but_not_usable(admin):
    service = Service.heartbeat(admin, 'h', 'b')
    service.disabled, service.disabled_reason = True, 'maintenance'
    service.save()
    again = Service.heartbeat(admin, 'h', 'b')
    assert again.is_up and not again.is_usable
    assert again.disabled_reason == 'maintenance'


def test_only_what_an_operator_decides_is_saved(admin):
    service = Service.heartbeat(admin, 'h', 'b')
    service.report_count = 99
    with pytest.raises(ValueError, match='report_count'):
        service.save()


def test_a_forgotten_one_cannot_be_saved_and_comes_back(admin):
    service = Service.heartbeat(admin, 'h', 'b')
    service.destroy()
    assert len(ServiceList.get_all(admin)) == 0
    service.disabled = True
    with pytest.raises(exception.ServiceHostNotFound):
        service.save()
    assert Service.heartbeat(admin, 'h', 'b').report_count == 1


def test_first_heartbeats_that_race_make_one_row(admin):
    barrier = threading.Barrier(6)
    errors = []

    def beat():
        barrier.wait()
        try:
            Service.heartbeat(admin, 'h', 'b')
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=beat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    [service] = ServiceList.get_all(admin)
    assert service.report_count == 6
