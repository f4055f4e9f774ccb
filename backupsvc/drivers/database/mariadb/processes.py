# SPDX-License-Identifier: Apache-2.0
"""Programs of the MariaDB family: where they are, how they are run for a server, and how one that
runs is found again and ended.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from typing import IO, Any

from oslo_log import log as logging

from backupsvc import exception

LOG = logging.getLogger(__name__)

#: Where Debian keeps programs of the system, beside what the environment says.
_SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

#: Program → package.
_PACKAGES = {
    'mariadbd': 'mariadb-server',
    'mariadb-install-db': 'mariadb-server',
    'mariadb-backup': 'mariadb-backup',
    'mbstream': 'mariadb-backup',
    'haproxy': 'haproxy',
    'nft': 'nftables',
    'mkfs.ext4': 'e2fsprogs',
    'resize2fs': 'e2fsprogs',
    'e2fsck': 'e2fsprogs',
    'mount': 'mount',
    'umount': 'mount',
    'losetup': 'mount',
    'setpriv': 'util-linux',
    'prlimit': 'util-linux',
}


#: Of each thread that does not ask for less, where the data segment is limited: it counts stacks
#: whole, though next to nothing of them is used. Connections of a server have 292 KiB.
_STACK_BYTES = 1024 ** 2


def is_root() -> bool:
    """Return whether this process may give its children other users."""
    return os.geteuid() == 0


def is_installed(program: str) -> bool:
    """Return whether a program is there."""
    return _which(program) is not None


def find(program: str) -> str:
    """Return the path of a program.

    :raises DriverFailed: it is missing, with the package to install
    """
    path = _which(program)
    if path is None:
        raise exception.DriverFailed(
            reason=f'The program {program} is missing on the host of the databases: install the '
                   f'package {_PACKAGES[program]}.')
    return path


def command(program: str, *arguments: str, uid: int | None,
            data_bytes: int | None = None) -> list[str]:
    """Return the words that run a program as the user of a server, without any privilege.

    :param data_bytes: limit of its data segment
    """
    words = []
    if data_bytes is not None:
        words += [find('prlimit'), f'--data={data_bytes}', f'--stack={_STACK_BYTES}', '--core=0',
                  '--']
    if uid is not None:
        words += [find('setpriv'), f'--reuid={uid}', f'--regid={uid}', '--clear-groups',
                  '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--']
    return [*words, find(program), *arguments]


def environment() -> dict[str, str]:
    """Return what programs get to know: where programs are, and nothing of our surroundings."""
    return {
        'PATH': _SYSTEM_PATH, 'LANG': 'C.UTF-8', 'HOME': '/',
        # each arena keeps what was freed in it, and a server under a limit would run out of memory
        'MALLOC_ARENA_MAX': '2'}


def run(words: Sequence[str], *, what: str, text: str | None = None,
        cwd: str = '/', accepted: Collection[int] = (0,)) -> str:
    """Run a program to its end and return what it wrote.

    :param what: what failed when it does, a sentence's begin
    :param text: its standard input
    :param accepted: exit statuses that mean success
    :raises DriverFailed: it ended in error; what it wrote is in the log, its last line in the
        error
    """
    done = subprocess.run(
        words, input=text or '', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors='replace', env=environment(), cwd=cwd, check=False)
    if done.returncode not in accepted:
        LOG.error('%s ended with %s: %s', ' '.join(words), done.returncode, done.stdout)
        raise exception.DriverFailed(reason=f'{what}: {last_line(done.stdout)}')
    return done.stdout


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if re.search(r'\w', line)]
    return lines[-1] if lines else 'it gave no reason'


def spawn(words: Sequence[str], *, output: IO[Any] | int) -> subprocess.Popen:
    """Start a program that outlives us: in a session of its own, with nothing of ours open."""
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(), cwd='/',
        start_new_session=True)


def running(marker: str, uid: int | None) -> list[int]:
    """Return the ids of the processes that have an argument ``marker`` and are run by this user.

    Only what nobody else could have made counts: any user can give any arguments to a process, but
    not the user id.
    """
    return sorted(int(name) for name in os.listdir('/proc')
                  if name.isdigit() and _matches(int(name), marker, uid))


def end(marker: str, uid: int | None, *, timeout_s: float) -> None:
    """End every process that ``running`` finds: in order, and by force after ``timeout_s``."""
    give_up_at = time.monotonic() + timeout_s
    number = signal.SIGTERM if timeout_s else signal.SIGKILL
    while pids := running(marker, uid):
        for pid in pids:
            _end_one(pid, marker, uid, number, max(0.0, give_up_at - time.monotonic()))
        number = signal.SIGKILL


def _end_one(pid: int, marker: str, uid: int | None, number: int, timeout_s: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # the number may have become another process's before the descriptor was open
        if not _matches(pid, marker, uid):
            return
        signal.pidfd_send_signal(descriptor, number)
        wait_s = 10.0 if number == signal.SIGKILL else timeout_s
        if not select.select([descriptor], [], [], wait_s)[0] and number == signal.SIGKILL:
            raise exception.DriverFailed(reason=f'Process {pid} cannot be killed.')
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def _matches(pid: int, marker: str, uid: int | None) -> bool:
    # root's own: what is about to become the user's
    owners = {os.geteuid()} if uid is None else {uid, 0}
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as stream:
            words = stream.read().split(b'\0')
        if os.fsencode(marker) not in words:
            return False
        with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as stream:
            status = dict(line.split(':', 1) for line in stream if ':' in line)
        return (int(status['Uid'].split()[1]) in owners
                and not status['State'].strip().startswith(('Z', 'X')))
    except (OSError, KeyError, ValueError):
        return False  # gone meanwhile, or not ours to read


def _which(program: str) -> str | None:
    return shutil.which(program, path=f'{os.environ.get("PATH", "")}:{_SYSTEM_PATH}')
