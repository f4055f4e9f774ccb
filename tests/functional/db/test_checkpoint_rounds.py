# SPDX-License-Identifier: Apache-2.0
"""Whatever shares do in whatever order, all snapshots of a checkpoint are of one moment."""

import hypothesis
from hypothesis import strategies

from backupsvc import exception, states
from tests.functional.db.test_checkpoints import again, claimed, create

_STEPS = (states.JOINED, states.STILL, states.TAKEN)
_SHARES = 3

_ACTS = strategies.lists(strategies.tuples(
    strategies.integers(0, _SHARES - 1),
    strategies.sampled_from(
        ['next'] * 8 + ['join', 'still', 'taken', 'leave', 'look', 'look', 'begin anew'])),
    min_size=1, max_size=60)


class Share:
    """What one manager knows, which may be out of date, and what it believes to have done."""

    def __init__(self, admin, record, share_id, task):
        self.record = again(admin, record)
        self.share_id = share_id
        self.task = task
        self.done = 0

    def report(self, step, events):
        """Report a step; ``events`` gets what was accepted."""
        try:
            self.record.report(self.share_id, step, self.task)
        except exception.CheckpointChanged:
            self.record.look()
            self.done = 0
            return
        events.append((self.share_id, step, self.record.round))
        self.done = _STEPS.index(step) + 1

    def act(self, what, events):
        if what == 'next':
            self.report(_STEPS[min(self.done, 2)], events)
        elif what == 'look':
            before = self.record.round
            self.record.look()
            if self.record.round != before:
                self.done = 0
        elif what == 'leave':
            if self.record.leave(self.share_id):
                events.append((self.share_id, 'left', self.record.round))
                self.done = 0
        elif what == 'begin anew':
            self.record.begin_round()
        else:
            self.report({'join': states.JOINED, 'still': states.STILL,
                         'taken': states.TAKEN}[what], events)


@hypothesis.settings(
    max_examples=40, deadline=None, derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(acts=_ACTS)
def test_when_all_is_taken_everything_stood_still_at_once(admin, acts):
    record = create(admin, shares=_SHARES)
    shares = [Share(admin, record, share_id, task)
              for share_id, task in claimed(admin, record).items()]
    events = []
    for place, what in acts:
        shares[place].act(what, events)
        judge(again(admin, record), shares, events)
    # From wherever it is, whoever goes on in order brings it to its end.
    for share in shares:
        share.act('look', events)
    shares[0].record.begin_round()
    for share in shares:
        share.record.look()
        share.done = 0
    for step in _STEPS:
        for share in shares:
            share.report(step, events)
    judge(again(admin, record), shares, events)
    assert again(admin, record).phase == states.STORING


def judge(record, shares, events):
    """Check the events of the present round against the phase."""
    mine = [(share_id, step) for share_id, step, number in events if number == record.round]
    everybody = {share.share_id for share in shares}
    joined, still, taken = (
        {share_id for share_id, step in mine if step == wanted} for wanted in _STEPS)
    if record.phase in (states.QUIESCING, states.TAKING, states.STORING):
        assert joined == everybody
    if record.phase in (states.TAKING, states.STORING):
        assert still == everybody
    if record.phase == states.STORING:
        assert taken == everybody and record.position is not None
    places = {step: [place for place, (_, found) in enumerate(mine) if found == step]
              for step in (*_STEPS, 'left')}
    if places[states.TAKEN]:  # nobody takes before everybody stands still
        assert max(places[states.STILL]) < min(places[states.TAKEN])
    if places[states.STILL]:  # and nobody leaves any more
        assert max(places[states.JOINED] + places['left']) < min(places[states.STILL])
