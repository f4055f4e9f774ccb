# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the service and of database servers in every state of an instance,
``BACKUPSVC_KILLS`` times (20).
"""

import os
import pathlib
import shutil
import tempfile

import pytest

from tests.fixtures import deployment, mariadb_servers, processes
from tests.services.mariadb.campaign import Campaign

pytestmark = [pytest.mark.services, pytest.mark.campaign, pytest.mark.timeout(1800),
              pytest.mark.xdist_group('mariadb_service')]

OPTIONS = """
[api]
auth_strategy = noauth

[database_instances]
check_interval = 0.5

[database_mariadb]
runtime_directory = {directory}/run
port_range = {first}-{last}
flavors = 1:m1.tiny:256, 2:m1.small:320
stop_timeout = 20

[quota]
database_instances = -1
database_gigabytes = -1
backups = -1
backup_gigabytes = -1

[rates]
get = 0
post = 0
put = 0
delete = 0
"""


@pytest.fixture
def directory():
    """A directory with a short path, for sockets, that the users of servers may go through."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='bsdb', dir='/var/tmp'))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def standalone(directory):
    """(client, process) of a standalone service with quick periods, and its configuration here."""
    first = processes.free_port()
    written = deployment.write_config(
        directory, host='standalone', lease_duration=3, sweep_interval=0.3, max_attempts=50,
        retry_interval=0.2, spare_movers=1,
        extra=OPTIONS.format(directory=directory, first=first, last=min(first + 300, 65535)))
    pathlib.Path(written).rename(directory / 'backupsvc.conf')
    port = processes.free_port()
    with deployment.deployed(str(directory / 'backupsvc.conf')):
        process = processes.Process(
            ['backupsvc.cmd.standalone', '--state-dir', str(directory), '--port', str(port)],
            directory / 'output.log')
        client = processes.Client(port)
        process.start()
        try:
            deployment.eventually(client.is_up, 60)
            yield client, process
        finally:
            process.end()
            driver = deployment.loader.database_driver()
            for instance_id in driver.list_servers():
                driver.remove(mariadb_servers.ADMIN, instance_id)


def test_nothing_is_lost_or_untrue_after_kills(standalone, directory):
    kills = int(os.environ.get('BACKUPSVC_KILLS', '20'))
    campaign = Campaign(*standalone, directory, seed=kills)
    print(campaign.run(kills))
    campaign.settle()
    campaign.judge()
