# SPDX-License-Identifier: Apache-2.0
"""A process is asked to stop, at any moment and whichever thread the signal reaches."""

import signal
import subprocess
import sys

import pytest

WAITS = """
import sys, threading, time
from backupsvc.cmd import stopping
{before}
stop = stopping.StopRequest()
{after}
print('ready', flush=True)
{busy}
stop.wait()
print('stopped')
"""

OTHER_THREAD = """
import signal
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
# what is blocked in the main thread, the kernel gives to another one
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
"""


def start(before='', after='', busy=''):
    process = subprocess.Popen(
        [sys.executable, '-c', WAITS.format(before=before, after=after, busy=busy)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n'
    return process


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('after', ['', OTHER_THREAD], ids=['main', 'other'])
def test_a_signal_ends_the_wait_whichever_thread_it_reaches(number, after):
    process = start(after=after)
    process.send_signal(number)
    assert process.communicate(timeout=30) == ('stopped\n', '')
    assert process.returncode == 0


def test_a_signal_before_the_wait_is_not_lost():
    process = start(busy='time.sleep(1)')
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == 'stopped\n'


def test_another_signal_does_not_stop_it():
    process = start(after='import signal; signal.signal(signal.SIGUSR1, lambda *_: '
                          'print("seen", flush=True))')
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == 'seen\n'
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == 'stopped\n'


def test_a_stop_that_hangs_says_where():
    process = start(busy="stopping.expect_end(0.5)\n"
                         "def in_the_way(): time.sleep(3)\n"
                         "in_the_way()")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert output == 'stopped\n'
    assert 'in in_the_way' in errors
