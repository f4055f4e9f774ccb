# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the standalone service and its movers, ``BACKUPSVC_KILLS`` times (12)."""

import os
import pathlib

import pytest

from tests.fixtures import deployment, processes
from tests.functional.kill import sets
from tests.functional.kill.campaign import OPTIONS, Campaign

pytestmark = pytest.mark.campaign


@pytest.fixture
def standalone(tmp_path):
    """(client, process) of a standalone service with quick periods, and its configuration here."""
    written = deployment.write_config(
        tmp_path, host='standalone', extra=OPTIONS + sets.OPTIONS, lease_duration=3,
        sweep_interval=0.3, max_attempts=50, retry_interval=0, prune_interval=2, prune_grace=0,
        spare_movers=1)
    pathlib.Path(written).rename(tmp_path / 'backupsvc.conf')
    port = processes.free_port()
    with deployment.deployed(str(tmp_path / 'backupsvc.conf')):
        process = processes.Process(
            ['backupsvc.cmd.standalone', '--state-dir', str(tmp_path), '--port', str(port)],
            tmp_path / 'output.log')
        client = processes.Client(port)
        process.start()
        try:
            deployment.eventually(client.is_up, 60)
            yield client, process
        finally:
            process.end()


def test_nothing_is_lost_or_untrue_after_kills(standalone, tmp_path_factory):
    client, process = standalone
    kills = int(os.environ.get('BACKUPSVC_KILLS', '12'))
    campaign = Campaign(client, {'manager': process}, seed=kills)
    print(campaign.run(kills))
    campaign.settle()
    campaign.judge(tmp_path_factory.mktemp('restored'))


def test_sets_are_whole_and_nothing_is_left_behind_after_kills(standalone, tmp_path_factory):
    client, process = standalone
    kills = max(1, int(os.environ.get('BACKUPSVC_KILLS', '12')) // 2)
    campaign = sets.SetCampaign(client, {'manager': process}, seed=kills)
    try:
        print(campaign.run(kills))
        campaign.settle()
        campaign.judge(tmp_path_factory.mktemp('restored'))
    finally:
        campaign.end()
