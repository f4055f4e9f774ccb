# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of API, manager and movers on MariaDB and RabbitMQ, ``BACKUPSVC_KILLS`` times (50)."""

import os

import pytest

from tests.fixtures import deployment, processes
from tests.functional.kill.campaign import OPTIONS, Campaign

pytestmark = [pytest.mark.services, pytest.mark.campaign, pytest.mark.timeout(1800)]


@pytest.fixture
def services(make_conf, tmp_path, host):
    """(client, role → process) of an API and a manager."""
    port = processes.free_port()
    extra = OPTIONS.replace('[api]', f'[api]\nport = {port}')
    make_conf(extra=extra, lease_duration=3, sweep_interval=2, max_attempts=100,
              retry_interval=0, prune_interval=2, prune_grace=0, spare_movers=1)
    config = ['--config-file', str(tmp_path / f'{host}.conf')]
    roles = {role: processes.Process([f'backupsvc.cmd.{role}', *config],
                                     tmp_path / f'{role}.log')
             for role in ('api', 'manager')}
    client = processes.Client(port)
    for process in roles.values():
        process.start()
    try:
        deployment.eventually(client.is_up, 60)
        yield client, roles
    finally:
        for process in roles.values():
            process.end()


def test_nothing_is_lost_or_untrue_after_kills(services, tmp_path_factory):
    client, roles = services
    kills = int(os.environ.get('BACKUPSVC_KILLS', '50'))
    campaign = Campaign(client, roles, seed=kills)
    print(campaign.run(kills))
    campaign.settle()
    campaign.judge(tmp_path_factory.mktemp('restored'))
