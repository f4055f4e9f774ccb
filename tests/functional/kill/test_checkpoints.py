# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the service while checkpoints are taken, ``BACKUPSVC_KILLS`` times (12)."""

import os
import pathlib

import pytest

from backupsvc import context
from backupsvc.drivers import loader
from tests.fixtures import deployment, processes
from tests.functional.kill import checkpoints, sets
from tests.functional.kill.campaign import OPTIONS

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1200)]


@pytest.fixture
def service(tmp_path):
    """(operator, process, machines) of a standalone service with quick periods."""
    written = pathlib.Path(deployment.write_config(
        tmp_path, host='standalone', extra=OPTIONS + sets.OPTIONS, lease_duration=3,
        sweep_interval=0.3, max_attempts=50, retry_interval=0, prune_interval=2, prune_grace=0,
        spare_movers=1))
    path = tmp_path / 'backupsvc.conf'
    written.rename(path)
    ports = processes.free_port(), processes.free_port()
    with deployment.deployed(str(path)):
        machines = checkpoints.make_machines()
        partitions = checkpoints.partitions_of(machines, ['standalone'] * 3)
        path.write_text(f'{path.read_text()}\n[actuator]\ncheck_interval = 0.5\n'
                        f'partitions = {partitions}\n')
        process = processes.Process(
            ['backupsvc.cmd.standalone', '--state-dir', str(tmp_path), '--port', str(ports[0]),
             '--management-port', str(ports[1])], tmp_path / 'output.log')
        operator = checkpoints.Operator(ports[1])
        process.start()
        try:
            deployment.eventually(operator.is_up, 60)
            yield operator, process, machines
        finally:
            process.end()
            for instance_id in machines:
                loader.instance_driver().stop_instance(
                    context.get_admin_context(), instance_id, force=True)


def test_no_id_is_reused_none_is_stuck_and_nothing_stands_still(service, tmp_path_factory):
    operator, process, machines = service
    kills = int(os.environ.get('BACKUPSVC_KILLS', '12'))
    campaign = checkpoints.CheckpointCampaign(
        operator, {'service': process}, machines, seed=kills)
    print(campaign.run(kills))
    campaign.settle()
    campaign.judge(tmp_path_factory.mktemp('restored'))
