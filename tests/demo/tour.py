# SPDX-License-Identifier: Apache-2.0
"""The guided tour: starts the service and backs a real file system up through its API.

Run by ``tox -e demo``. Nothing here is imported from the service: the tour sees what a user sees,
the REST API through openstacksdk and the commands beside it.
"""

import argparse
import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO

import openstack
from openstack import exceptions
from rich import box, console, filesize, progress, table

BINARIES = pathlib.Path(sys.executable).parent
MIB = 1024 ** 2
START_S = 120
STEP_S = 600

#: Metadata of the instance backups that tours make.
TOURS = {'purpose': 'tour'}

OUT = console.Console(highlight=False, width=None if sys.stdout.isatty() else 110)


class TourFailed(Exception):
    """A step did not come out as it must; the text says which and how."""


@dataclasses.dataclass
class Cost:
    """What a step cost: bytes, seconds; None where nothing was counted."""

    name: str
    seconds: float
    read: int | None = None
    new: int | None = None
    stored: int | None = None


def tool(name: str) -> str:
    """Return the path of a program of e2fsprogs; ordinary users seldom have /usr/sbin in PATH.

    :raises TourFailed: it is not installed
    """
    places = os.environ.get('PATH', os.defpath), '/usr/sbin', '/sbin'
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise TourFailed(f'{name} is missing: the tour makes a real ext4 file system with it. '
                         'Install it with "apt install e2fsprogs" and start again.')
    return found


def run(*command: str | os.PathLike) -> str:
    """Run a command to its end and return what it printed.

    :raises TourFailed: its status was not 0
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise TourFailed(f'{shlex.join(map(str, command))} ended with {done.returncode}:\n'
                         f'{done.stdout}{done.stderr}')
    return done.stdout


def manage(state_dir: pathlib.Path, *arguments: str) -> list[str]:
    """Return the command line of ``backupsvc-manage`` over a state directory."""
    return [str(BINARIES / 'backupsvc-manage'), '--state-dir', str(state_dir), *arguments]


# ---- the service ---------------------------------------------------------------------------


def free_port(wanted: int) -> int:
    """Return ``wanted``, or 0 with a word about it when somebody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', wanted))
        except OSError as error:
            OUT.print(f'Port {wanted} cannot be used ({error.strerror}); taking a free one.')
            return 0
    return wanted


@contextlib.contextmanager
def service(state_dir: pathlib.Path, port: int) -> Iterator[subprocess.Popen]:
    """Run the service until the end of the block.

    :raises TourFailed: it does not start, or does not stop cleanly
    """
    command = [BINARIES / 'backupsvc-standalone', '--state-dir', state_dir, '--port', str(port)]
    OUT.print(f'[dim]$ {shlex.join(map(str, command))}')
    state_dir.mkdir(parents=True, exist_ok=True)
    errors_path = state_dir / 'standalone.err'
    with open(errors_path, 'w') as errors:
        # a group of its own: Ctrl-C is for the tour, which then stops the service in order
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=errors, text=True, start_new_session=True)
    try:
        for line in child.stdout:
            OUT.print(f'[dim]{line.rstrip()}')
            if line.startswith('Stop with'):
                break
        else:
            raise TourFailed(f'the service did not start:\n{errors_path.read_text()[-4000:]}')
        yield child
    finally:
        # tox passes on the Ctrl-C that the terminal has sent already; the first one was enough
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            status = stopped(child)
        finally:
            signal.signal(signal.SIGINT, before)
    if status:
        raise TourFailed(f'the service ended with {status}:\n{errors_path.read_text()[-4000:]}')


def stopped(child: subprocess.Popen) -> int:
    """Stop the service and return its exit status.

    :raises TourFailed: it does not stop
    """
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        return child.wait(START_S)
    except subprocess.TimeoutExpired:
        child.kill()
        raise TourFailed(f'the service did not stop within {START_S} s') from None


# ---- the volume's content ------------------------------------------------------------------


def fill(image: str) -> int:
    """Make an ext4 file system with this Python's own library in it; return its files' bytes."""
    source = pathlib.Path(os.__file__).parent
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory) / 'library'
        shutil.copytree(source, tree, ignore=shutil.ignore_patterns(
            'site-packages', 'dist-packages', '__pycache__', 'test', 'tests'))
        run(tool('mkfs.ext4'), '-q', '-F', '-L', 'tour', '-d', directory, image)
        return sum(path.stat().st_size for path in tree.rglob('*') if path.is_file())


def change(image: str) -> None:
    """Change some files of the file system in place, as a day's work would."""
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory) / 'report.bin'
        report.write_bytes(os.urandom(3 * MIB))
        note = pathlib.Path(directory) / 'note.txt'
        note.write_text('written between the two backups\n')
        script = pathlib.Path(directory) / 'script'
        script.write_text('\n'.join([
            'mkdir work',
            f'write {report} work/report.bin',
            f'write {note} work/note.txt',
            'rm library/this.py',
            'rm library/antigravity.py',
        ]) + '\n')
        run(tool('debugfs'), '-w', '-f', script, image)


def check_files(image: str) -> None:
    """Check a restored file system from within.

    :raises TourFailed: it is damaged, or a changed file is not as it was changed
    """
    run(tool('e2fsck'), '-f', '-n', image)
    note = run(tool('debugfs'), '-R', 'cat work/note.txt', image)
    if note != 'written between the two backups\n':
        raise TourFailed(f'work/note.txt of the restored volume reads {note!r}')
    if 'this.py' in run(tool('debugfs'), '-R', 'ls -p library', image):
        raise TourFailed('library/this.py was removed before the backup and is there again')


def compare(left: str, right: str) -> int:
    """Compare two files byte for byte; return their size.

    :raises TourFailed: they differ, with the first position
    """
    size = os.path.getsize(left)
    if os.path.getsize(right) != size:
        raise TourFailed(f'one volume has {size} bytes, the other {os.path.getsize(right)}')
    position = 0
    with open(left, 'rb', buffering=0) as one, open(right, 'rb', buffering=0) as other:
        while position < size:
            # where both have a hole there is nothing to read
            position = min(data_at(one, position, size), data_at(other, position, size))
            if os.pread(one.fileno(), MIB, position) != os.pread(other.fileno(), MIB, position):
                raise TourFailed(f'the volumes differ in the MiB at {position}')
            position += MIB
    return size


def data_at(file: BinaryIO, position: int, size: int) -> int:
    """Return where the next data of a sparse file begins; its size when there are no more."""
    try:
        return os.lseek(file.fileno(), position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size


# ---- the tour ------------------------------------------------------------------------------


class Tour:
    """One walk through the service; ``costs`` fills up on the way."""

    def __init__(self, state_dir: pathlib.Path):
        self.state_dir = state_dir
        os.environ['OS_CLIENT_CONFIG_FILE'] = str(state_dir / 'clouds.yaml')
        self.cloud = openstack.connect(cloud='backupsvc')
        self.storage = self.cloud.block_storage
        self.costs: list[Cost] = []

    @contextlib.contextmanager
    def step(self, name: str, title: str) -> Iterator[Cost]:
        """Announce a step and time it; ``name`` is what the table calls it."""
        OUT.print(f'\n[bold]{len(self.costs) + 1}. {title}')
        started = time.monotonic()
        cost = Cost(name, 0)
        yield cost
        cost.seconds = time.monotonic() - started
        self.costs.append(cost)

    def follow(self, backup_id: str, cost: Cost) -> None:
        """Show the running task of a backup as a bar, to its end, and note what it cost.

        :raises TourFailed: it ended in an error
        """
        watch = subprocess.Popen(
            manage(self.state_dir, 'task', 'watch', '--json', backup_id),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        columns = (progress.TextColumn('   '), progress.BarColumn(), progress.TaskProgressColumn(),
                   progress.DownloadColumn(), progress.TimeElapsedColumn())
        last = None
        with watch, progress.Progress(*columns, console=OUT) as bars:
            bar = bars.add_task('', total=None)
            for line in watch.stdout:
                last = json.loads(line)
                bars.update(bar, total=last['bytes_total'], completed=last['bytes_done'])
        if watch.returncode or last is None:
            raise TourFailed(f'the task of backup {backup_id} failed: {last and last["error"]}')
        cost.read = last['bytes_read']
        if last['kind'] == 'create':
            cost.new, cost.stored = last['bytes_new'], last['bytes_stored']

    def raw_file(self, volume_id: str) -> str:
        """Return the path of a volume's raw file."""
        return run(*manage(self.state_dir, 'volume', 'path', volume_id)).strip()

    def backup(self, volume, cost: Cost, **arguments):
        """Back a volume up and wait until it is there."""
        backup = self.storage.create_backup(volume_id=volume.id, **arguments)
        self.follow(backup.id, cost)
        return self.storage.wait_for_status(
            backup, 'available', failures=['error'], interval=0.2, wait=STEP_S)

    def walk(self):
        """Take every step; return the ids that the closing commands name.

        :raises TourFailed: a step went wrong
        """
        run_id = time.strftime('%H%M%S')
        with self.step('make', 'Make a volume of 1 GiB, with real files in a file system'):
            volume = self.storage.create_volume(size=1, name=f'tour-{run_id}')
            volume = self.storage.wait_for_status(volume, 'available', interval=0.2, wait=60)
            image = self.raw_file(volume.id)
            size = fill(image)
            OUT.print(f'   {filesize.decimal(size)} of files in ext4, in {image}')

        with self.step('full backup', 'Back it up in full, with metadata') as cost:
            full = self.backup(volume, cost, name=f'full-{run_id}',
                               metadata={'purpose': 'tour', 'run': run_id, 'kind': 'full'})
        with self.step('change', 'Change some files'):
            change(image)
            OUT.print('   3 MiB of new files, two files removed')

        with self.step('incremental backup', 'Back it up again, incrementally') as cost:
            incremental = self.backup(
                volume, cost, name=f'incremental-{run_id}', is_incremental=True,
                metadata={'purpose': 'tour', 'run': run_id, 'kind': 'incremental'})
            if not incremental.is_incremental:
                raise TourFailed('the second backup is not an incremental one')

        with self.step('list', 'List the backups of this run whose metadata say kind=incremental'):
            found = self.find(run=run_id, kind='incremental')
            if [backup['id'] for backup in found] != [incremental.id]:
                raise TourFailed(f'the filter found {found}, not backup {incremental.id} alone')
            for backup in found:
                OUT.print(f'   {backup["id"]}  {backup["name"]}  {backup["metadata"]}')

        with self.step('delete', 'Delete the full backup: the other does not depend on it'):
            self.storage.delete_backup(full)
            self.storage.wait_for_delete(full, interval=0.2, wait=STEP_S)

        with self.step('restore', 'Restore the incremental one to a new volume') as cost:
            answer = self.storage.restore_backup(incremental, name=f'restored-{run_id}')
            self.follow(incremental.id, cost)
            restored = self.storage.wait_for_status(
                self.storage.get_volume(answer.volume_id), 'available',
                failures=['error', 'error_restoring'], interval=0.2, wait=STEP_S)

        with self.step('compare', 'Compare the volumes, and check the file system'):
            path = self.raw_file(restored.id)
            size = compare(image, path)
            check_files(path)
            OUT.print(f'   equal in all {filesize.decimal(size)}; e2fsck finds nothing; '
                      'the changed files are as they were')
        self.walk_instance(run_id)
        return incremental.id, volume.id

    def walk_instance(self, run_id: str) -> None:
        """Take the steps of an instance.

        :raises TourFailed: a step went wrong
        """
        with self.step('instance', 'Make an instance that writes to two volumes all the time'):
            volumes = [self.storage.create_volume(size=1, name=f'tour-{run_id}-{number}')
                       for number in (1, 2)]
            words = [word for volume in volumes for word in ('--volume', volume.id)]
            instance = self.instance('create', f'tour-{run_id}', *words)
            self.instance('start', instance['id'])
            OUT.print('   record 1 to the first volume, to the second, record 2 to the first …')

        with self.step('instance backup',
                       'Back both up as of one moment, while it writes') as cost:
            made = self.call('POST', '/instance/backup', {'backup': {
                'instance_id': instance['id'], 'name': f'tour-{run_id}', 'metadata': TOURS}})
            backup = self.settled(f'/instance/backup/{made["backup"]["id"]}')
            cost.stored = backup['stored_bytes']
            OUT.print(f'   {backup["id"]}, as of {backup["data_timestamp"]}')

        with self.step('restore its parts', 'Make a volume of each part, each by itself'):
            copies = [
                self.call('POST', '/volume', {'volume': {'backup_id': part['id']}})['volume']
                for part in backup['volume_backups']]
            for copy in copies:
                self.storage.wait_for_status(
                    self.storage.get_volume(copy['id']), 'available',
                    failures=['error'], interval=0.2, wait=STEP_S)

        with self.step('check', 'Check that the copies are of one moment'):
            check = self.instance('check', *(copy['id'] for copy in copies),
                                  '--not-after', backup['data_timestamp'])
            last = max(volume['last'] for volume in check['volumes'])
            OUT.print(f'   up to record {last} nothing is missing, and nothing is newer')
            run(*manage(self.state_dir, 'instance', 'delete', instance['id']))
            for volume in (*volumes, *copies):
                self.storage.delete_volume(volume['id'])

    def instance(self, *arguments: str) -> dict:
        """Run ``backupsvc-manage instance`` and return what it prints.

        :raises TourFailed: its status was not 0; that of a check is when something is amiss
        """
        return json.loads(run(*manage(self.state_dir, 'instance', *arguments, '--json')))

    def call(self, method: str, path: str, body: dict | None = None) -> dict | None:
        """Send a request to the Backup service v1 and return the answer's body.

        :raises TourFailed: it is an error
        """
        endpoint, _, project = self.storage.get_endpoint().partition('/v3/')
        answer = self.cloud.session.request(
            f'{endpoint}/v1{path}', method, json=body, raise_exc=False,
            headers={'X-Auth-Token': f'tour:{project}:member'})
        if answer.status_code >= 400:
            raise TourFailed(f'{method} {path} answered {answer.status_code}: {answer.text}')
        return answer.json() if answer.content else None

    def settled(self, path: str) -> dict:
        """Show the progress of a backup as a bar, to its end, and return it.

        :raises TourFailed: it is not available in the end
        """
        columns = (progress.TextColumn('   '), progress.BarColumn(), progress.TaskProgressColumn(),
                   progress.DownloadColumn(), progress.TimeElapsedColumn())
        with progress.Progress(*columns, console=OUT) as bars:
            bar = bars.add_task('', total=None)
            give_up_at = time.monotonic() + STEP_S
            while True:
                backup = self.call('GET', path)['backup']
                if backup['progress']:
                    bars.update(bar, total=backup['progress']['bytes_total'],
                                completed=backup['progress']['bytes_done'])
                if backup['status'] != 'creating' or time.monotonic() >= give_up_at:
                    break
                time.sleep(0.2)
            bars.update(bar, total=backup['logical_bytes'], completed=backup['logical_bytes'])
        if backup['status'] != 'available':
            raise TourFailed(f'{path} is {backup["status"]}: {backup["fail_reason"]}')
        return backup

    def tidy(self) -> None:
        """Delete the instance backups of earlier tours, so that the quota is enough for any number
        of them.
        """
        query = '&'.join(f'metadata[{key}]={value}' for key, value in TOURS.items())
        for backup in self.call('GET', f'/instance/backup?{query}')['backups']:
            if backup['status'] in ('available', 'error'):
                self.call('DELETE', f'/instance/backup/{backup["id"]}')

    def find(self, **metadata: str) -> list[dict]:
        """Return the backups that carry all these pairs; this filter is not in openstacksdk."""
        response = self.storage.get('/backups/detail', params={'metadata': repr(metadata)},
                                    microversion='3.45')
        exceptions.raise_from_response(response)
        return response.json()['backups']

    def report(self) -> None:
        """Print what each step cost."""
        sheet = table.Table(box=box.SIMPLE_HEAD, title='What it cost', title_justify='left')
        sheet.add_column('step')
        for name in ('read', 'new', 'stored', 'seconds'):
            sheet.add_column(name, justify='right')
        for number, cost in enumerate(self.costs, 1):
            amounts = ['' if amount is None else filesize.decimal(amount)
                       for amount in (cost.read, cost.new, cost.stored)]
            sheet.add_row(f'{number}. {cost.name}', *amounts, f'{cost.seconds:.2f}')
        OUT.print(sheet)
        OUT.print('read: bytes taken from the volume or the repository. new: bytes that no backup '
                  'held yet.\nstored: what they take in the repository, compressed and encrypted.')

    def next_commands(self, backup_id: str, volume_id: str) -> list[str]:
        """Return command lines for the reader to go on with; every one of them works as it is."""
        client = f'{shlex.quote(str(BINARIES / "openstack"))} --os-cloud backupsvc'
        own = shlex.join(manage(self.state_dir))
        return [
            f'export OS_CLIENT_CONFIG_FILE={shlex.quote(os.environ["OS_CLIENT_CONFIG_FILE"])}',
            f'{client} volume list',
            f'{client} volume backup list --long',
            f'{client} volume backup show {backup_id}',
            f'{client} volume backup create --incremental --name mine {volume_id}',
            f'{own} volume path {volume_id}',
            f'{own} task list',
        ]


def check_commands(commands: list[str]) -> None:
    """Run the closing commands as one script, so that what is printed is known to work."""
    run('bash', '-euc', '\n'.join(commands))


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the tour's options."""
    parser = argparse.ArgumentParser(description='A guided tour of the backup service.')
    parser.add_argument('--once', action='store_true',
                        help='end after the tour, with status 0 or 1, and leave nothing behind')
    parser.add_argument('--state-dir', type=pathlib.Path, metavar='DIR',
                        help='keep the state here (default: demo-state in the current directory; '
                             'with --once a temporary one)')
    parser.add_argument('--port', type=int, default=8110, metavar='N',
                        help='port of the service; 0 picks a free one (default: 8110)')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Take the tour; return 0, or 1 when a step failed."""
    args = parse_arguments(argv)
    with contextlib.ExitStack() as stack:
        try:
            tool('mkfs.ext4')
            if args.state_dir is not None or not args.once:
                state_dir = (args.state_dir or pathlib.Path('demo-state')).resolve()
            else:
                state_dir = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with service(state_dir, free_port(args.port)) as child:
                tour = Tour(state_dir)
                tour.tidy()
                backup_id, volume_id = tour.walk()
                tour.report()
                commands = tour.next_commands(backup_id, volume_id)
                if args.once:
                    check_commands(commands)
                    OUT.print(f'\nThe {len(commands)} commands for going on work too.')
                    return 0
                OUT.print('\n[bold]The service is still running. To go on in another terminal:\n')
                for command in commands:
                    OUT.print(f'  {command}', soft_wrap=True)
                OUT.print('\nCtrl-C stops it; the state stays in '
                          f'{state_dir} and the next tour goes on with it.')
                child.wait()
        except TourFailed as error:
            OUT.print('\nThe tour failed:', style='bold red')
            OUT.print(str(error), markup=False, soft_wrap=True)
            return 1
        except KeyboardInterrupt:
            OUT.print('\nStopped.')
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
