# SPDX-License-Identifier: Apache-2.0
"""Messages go out in order, and nobody who sends one waits for it or suffers from it."""

import threading

import pytest

from backupsvc.rpc import sender


@pytest.fixture
def sending():
    made = sender.Sender(limit=3)
    yield made
    made.stop()


def test_messages_go_out_in_order(sending):
    sent = []
    for number in range(3):
        sending.put(str(number), sent.append, number)
    assert sending.flush(10)
    assert sent == [0, 1, 2]


def test_failure_is_logged_and_the_next_goes_out(sending, caplog):
    sent = []

    def fail():
        raise ConnectionRefusedError('no broker')

    sending.put('wake of task 7', fail)
    sending.put('next', sent.append, 1)
    assert sending.flush(10)
    assert sent == [1]
    assert 'wake of task 7' in caplog.text
    assert 'no broker' in caplog.text


def test_waiting_messages_are_bounded_and_put_never_blocks(sending, caplog):
    gate, begun, sent = threading.Event(), threading.Event(), []

    def wait():
        begun.set()
        gate.wait(20)

    sending.put('slow', wait)
    assert begun.wait(10)
    for number in range(5):
        sending.put(f'message {number}', sent.append, number)
    assert not sending.flush(0.01)
    gate.set()
    assert sending.flush(10)
    assert sent == [0, 1, 2]
    assert 'Dropped message 4' in caplog.text
