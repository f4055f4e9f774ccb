# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of two managers and the API while they take checkpoints together, on MariaDB and
RabbitMQ, ``BACKUPSVC_KILLS`` times (20).
"""

import os

import pytest

from backupsvc import context
from backupsvc.drivers import loader
from tests.fixtures import deployment, processes
from tests.functional.kill import checkpoints, sets
from tests.functional.kill.campaign import OPTIONS
from tests.services.rabbitmq.conftest import transport_url

pytestmark = [pytest.mark.services, pytest.mark.campaign, pytest.mark.timeout(1800)]

_MANAGEMENT = """
[management]
port = {port}

[actuator]
check_interval = 0.5
call_timeout = 10
partitions = {partitions}
"""


@pytest.fixture
def services(tmp_path, host, mariadb):
    """(operator, name → process, machines) of an API and two managers."""
    hosts = [f'{host}-1', f'{host}-2']
    extra = (OPTIONS + sets.OPTIONS).replace('[api]', '[api]\napplication = management')
    paths = [deployment.write_config(
        tmp_path, host=name, connection=mariadb, transport_url=transport_url(), extra=extra,
        lease_duration=3, sweep_interval=0.5, max_attempts=100, retry_interval=0,
        quiesce_timeout=5, prune_interval=2, prune_grace=0, spare_movers=1) for name in hosts]
    port = processes.free_port()
    with deployment.deployed(paths[0]):
        machines = checkpoints.make_machines()
        partitions = checkpoints.partitions_of(machines, [hosts[0], hosts[1], hosts[1]])
        for path in paths:
            with open(path, 'a', encoding='utf-8') as file:
                file.write(_MANAGEMENT.format(port=port, partitions=partitions))
        found = {name: processes.Process(
            [f'backupsvc.cmd.{verb}', '--config-file', path], tmp_path / f'{name}.log')
            for name, verb, path in (('api', 'api', paths[0]), ('one', 'manager', paths[0]),
                                     ('two', 'manager', paths[1]))}
        operator = checkpoints.Operator(port)
        for process in found.values():
            process.start()
        try:
            deployment.eventually(operator.is_up, 60)
            yield operator, found, machines
        finally:
            for process in found.values():
                process.end()
            for instance_id in machines:
                loader.instance_driver().stop_instance(
                    context.get_admin_context(), instance_id, force=True)


def test_no_id_is_reused_none_is_stuck_and_nothing_stands_still(services, tmp_path_factory):
    operator, found, machines = services
    kills = int(os.environ.get('BACKUPSVC_KILLS', '20'))
    campaign = checkpoints.CheckpointCampaign(operator, found, machines, seed=kills)
    print(campaign.run(kills))
    campaign.settle()
    campaign.judge(tmp_path_factory.mktemp('restored'))
    assert campaign.accepted  # something was done between the kills
