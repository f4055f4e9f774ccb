# SPDX-License-Identifier: Apache-2.0
"""A repository on the posix store after a power loss at any instant of its work."""

import random

import pytest

from backupsvc.drivers.repository.posix.store import PosixStore
from backupsvc.engine import errors, packer
from backupsvc.engine.repository import Repository
from tests.fixtures import engine, power_loss
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, PlainWrapper

#: Chance of each unsynced change to survive.
SHARES = (0.0, 0.5, 1.0)


class Story:
    """What was done, as the recorded calls of the store and the moments between."""

    def __init__(self, base: str, workers: int):
        choose = random.Random(5)
        first = engine.make_image(choose, 24)
        second = engine.change_image(choose, first, 8)
        third = engine.change_image(choose, second, 8)
        self.images = {'b1': first, 'b2': second, 'b3': third}
        self.system = power_loss.RecordingOs(base)
        store = PosixStore(base, system=self.system)
        repository = Repository.create(store, PlainWrapper(), SMALL)
        self.system.mark('created')
        repository.archive(MemorySource(first), 'b1', workers=workers)
        self.system.mark(('has', 'b1'))
        repository.archive(MemorySource(second), 'b2', parent_id='b1', workers=workers)
        self.system.mark(('has', 'b2'))
        self.system.mark(('may lose', 'b1'))
        repository.delete('b1')
        self.system.mark(('lost', 'b1'))
        repository.prune(grace_s=0, owner='task')
        repository.archive(MemorySource(third), 'b3', parent_id='b2', workers=workers)
        self.system.mark(('has', 'b3'))
        repository.rewrap(PlainWrapper('two', 0x33))
        self.system.mark('rewrapped')
        repository.close()

    def moments(self, count: int):
        """Return ``count`` numbers of events, the last one among them."""
        total = len(self.system.events)
        return sorted({total - total * index // count for index in range(count)})


@pytest.fixture(scope='module', params=[1, 3], ids=['one worker', 'three workers'])
def story(request, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    # Small images make several index segments and so more moments to tell apart.
    patch.setattr(packer, 'FLUSH_ENTRIES', 6)
    try:
        yield Story(str(tmp_path_factory.mktemp('recorded')), request.param)
    finally:
        patch.undo()


def open_repository(path: str) -> Repository:
    store = PosixStore(path)
    try:
        return Repository.open(store, PlainWrapper())
    except errors.WrongKey:
        return Repository.open(store, PlainWrapper('two', 0x33))


@pytest.mark.parametrize('share', SHARES)
def test_what_was_committed_is_there_and_whole(story, tmp_path, share):
    events = story.system.events
    assert len(events) > 200
    for end in story.moments(80):
        disk = tmp_path / str(end)
        disk.mkdir()
        power_loss.write_what_is_left(events[:end], str(disk), random.Random(end), share)
        marks = {event.mark for event in events[:end] if event.verb == 'mark'}
        try:
            repository = open_repository(str(disk))
        except errors.RepositoryNotFound:
            assert 'created' not in marks, end
            continue
        check(story, repository, marks, f'event {end} of {len(events)}')
        repository.close()


def check(story, repository: Repository, marks: set, moment: str) -> None:
    must = {name for name in story.images
            if ('has', name) in marks and ('may lose', name) not in marks}
    gone = {name for name in story.images if ('lost', name) in marks}
    found = {info.id for info in repository.list_manifests()}
    assert must <= found, moment
    assert not found & gone, moment
    for backup_id in found:
        assert engine.restored(repository, backup_id) == story.images[backup_id], moment
    assert [problem for problem in repository.verify(full=True).problems
            if problem.backup_id is not None] == [], moment
    # Life goes on: the next backup is made, and a prune finds nothing that it must not touch.
    repository.archive(MemorySource(story.images['b3'][:20 * BLOCK]), 'next', workers=1)
    repository.prune(grace_s=0, owner='task')
    for backup_id in found:
        assert engine.restored(repository, backup_id) == story.images[backup_id], moment
