# SPDX-License-Identifier: Apache-2.0
"""What a user hands over for the time of the work: made once, carried, and given back."""

import uuid

import pytest

from backupsvc import states
from backupsvc.drivers import loader
from backupsvc.drivers.repository.posix.driver import PosixRepositoryDriver
from backupsvc.manager.periodics import Periodics
from backupsvc.objects.task import TaskList
from backupsvc.orchestration import backups, trusts
from tests.fixtures.deployment import eventually
from tests.functional.flows.conftest import MIB, noise


class TrustingRepositoryDriver(PosixRepositoryDriver):
    """Files, for which users have to hand something over all the same."""

    def __init__(self, conf):
        super().__init__(conf)
        self.made = []
        self.live = set()

    def create_trust(self, context):
        self.made.append(uuid.uuid4().hex)
        self.live.add(self.made[-1])
        return self.made[-1]

    def list_trusts(self):
        return iter(sorted(self.live))

    def delete_trust(self, trust_id):
        self.live.discard(trust_id)


@pytest.fixture
def driver(rig, monkeypatch):
    made = TrustingRepositoryDriver(rig.conf)
    monkeypatch.setattr(loader, 'repository_driver', lambda name=None: made)
    return made


def _ask_anew(rig):
    """Let what comes be another request of the user."""
    rig.user.auth_token, rig.user.trust_id = 'token', None


def test_a_trust_goes_with_its_task_and_ends_with_it(rig, driver):
    _ask_anew(rig)
    backup = rig.create(rig.volume((0, noise(1, MIB))).id)
    [trust_id] = driver.made
    assert [trusts.of_task(task) for task in rig.tasks(backup.id)] == [trust_id]
    assert rig.settled(backup.id).status == states.AVAILABLE
    eventually(lambda: not driver.live)


def test_nobody_who_has_no_token_hands_anything_over(rig, driver):
    rig.backed_up(rig.volume((0, noise(2, MIB))).id)
    assert driver.made == []


def test_a_request_makes_one_trust_for_all_its_tasks(rig, driver):
    _ask_anew(rig)
    volumes = [rig.volume((0, noise(number, MIB))) for number in (3, 4)]
    made = [rig.create(volume.id) for volume in volumes]
    assert len(driver.made) == 1
    for backup in made:
        rig.settled(backup.id)
    eventually(lambda: not driver.live)


def test_the_prune_after_a_deletion_takes_its_trust_over(rig, driver):
    backup = rig.backed_up(rig.volume((0, noise(5, MIB))).id)
    rig.conf.set_override('prune_interval', 3600, group='manager')
    _ask_anew(rig)
    backups.delete(rig.user, backup.id)
    rig.settled(backup.id)
    prune, = eventually(lambda: list(TaskList.get_all(rig.admin, {
        'kind': states.TASK_PRUNE, 'state': states.TASK_LIVE})))
    assert trusts.of_task(prune) == driver.made[-1]
    sweep = Periodics('another', lambda: None)
    for _ in range(3):
        sweep.give_back_trusts(rig.admin)
    assert driver.live == {driver.made[-1]}


def test_what_a_failed_request_left_is_given_back_when_it_is_seen_again(rig, driver):
    driver.live.add('left')
    sweep = Periodics('another', lambda: None)
    sweep.give_back_trusts(rig.admin)
    assert driver.live == {'left'}
    sweep.give_back_trusts(rig.admin)
    assert driver.live == set()
