# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage repository`` on raw files and a directory, as an operator uses it."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from backupsvc.engine.source import RawFileTarget

MIB = 1 << 20
#: Runs a verb, then prints what the kernel knows of this process: what a parent is told of a child
#: begins with the size of the parent.
_PRINT_PEAK = '''
import sys
from backupsvc.cmd import manage
status = manage.main(sys.argv[1:])
print(open('/proc/self/status').read())
sys.exit(status)
'''


class Place:
    """A directory with a repository and the command to work on it."""

    def __init__(self, path):
        self.path = path
        self.url = f'file://{path}/repository'
        self.environment = {**os.environ, 'XDG_CACHE_HOME': f'{path}/cache'}

    def argv(self, verb, *arguments, key_file='keys.json'):
        return [sys.executable, '-m', 'backupsvc.cmd.manage', 'repository', verb,
                '--repository', self.url, '--key-file', f'{self.path}/{key_file}', *arguments]

    def run(self, verb, *arguments, status=0, **options):
        """Run a verb; return its JSON document, or what it says where it fails."""
        done = subprocess.run([*self.argv(verb, *arguments, **options), '--json'],
                              env=self.environment, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    def image(self, name, data, size=None):
        path = f'{self.path}/{name}'
        with open(path, 'wb') as stream:
            stream.write(data)
            stream.truncate(size or len(data))
        return path


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.run('init')
    return place


def read(path):
    with open(path, 'rb') as stream:
        return stream.read()


def test_a_volume_goes_in_and_comes_back(place):
    data = random.Random(1).randbytes(3 * MIB + 17)
    image = place.image('a.img', data, size=200 * MIB)
    first = place.run('archive', image, '--id', 'one')
    assert first['bytes_read'] < 4 * MIB
    with open(image, 'r+b') as stream:
        stream.seek(MIB)
        stream.write(b'changed')
    second = place.run('archive', image, '--id', 'two', '--parent', 'one')
    assert second['bytes_new'] == 65536
    assert [(row['id'], row['size_bytes']) for row in place.run('list')] == [
        ('one', 200 * MIB), ('two', 200 * MIB)]
    assert place.run('show', 'two')['parent_id'] == 'one'
    out = f'{place.path}/out.img'
    place.run('restore', 'two', out)
    assert read(out) == read(image)
    # The holes are holes.
    assert os.stat(out).st_blocks * 512 < 8 * MIB
    place.run('delete', 'one')
    assert place.run('verify', '--full') == {'checked': 1, 'problems': []}
    assert place.run('prune', '--grace', '0')['packs_deleted'] >= 0
    place.run('restore', 'two', out, '--overwrite')
    assert read(out) == read(image)


def test_a_file_with_content_is_written_over_only_on_request(place):
    image = place.image('a.img', bytes(MIB) + b'x' * MIB)
    place.run('archive', image, '--id', 'one')
    out = place.image('out.img', b'precious' * 1000)
    said = place.run('restore', 'one', out, status=1)
    assert '--overwrite' in said
    assert read(out) == b'precious' * 1000
    place.run('restore', 'one', out, '--overwrite')
    assert read(out) == read(image)


def test_errors_say_what_to_do_next(place):
    assert 'repository list' in place.run('restore', 'nothing', 'out.img', status=1)
    assert 'already' in place.run('init', status=1)
    missing = f'{place.path}/missing.img'
    assert missing in place.run('archive', missing, status=1)
    place.run('init', status=1, key_file='other.json')
    assert '--key-file' in place.run('list', status=1, key_file='other.json')
    done = subprocess.run([sys.executable, '-m', 'backupsvc.cmd.manage', 'repository', 'list'],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert '--repository' in done.stderr


def test_damage_has_a_status_of_its_own(place):
    image = place.image('a.img', random.Random(2).randbytes(MIB))
    place.run('archive', image, '--id', 'one')
    largest = max((path for path in (place.path / 'repository' / 'packs').rglob('*')
                   if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[5000] ^= 1
    largest.write_bytes(data)
    said = place.run('restore', 'one', f'{place.path}/out.img', status=3)
    assert largest.name in said and 'verify --full' in said
    report = place.run('verify', '--full', status=3)
    assert report['problems'][0]['backup_id'] == 'one'
    assert largest.name in report['problems'][0]['key']


def test_the_key_is_changed_and_the_old_one_no_longer_opens(place):
    place.run('archive', place.image('a.img', b'data'), '--id', 'one')
    place.run('rewrap', '--new-key-file', f'{place.path}/new.json')
    assert '--key-file' in place.run('list', status=1)
    assert [row['id'] for row in place.run('list', key_file='new.json')] == ['one']
    place.run('rewrap', key_file='new.json')
    assert [row['id'] for row in place.run('list', key_file='new.json')] == ['one']


def test_a_lost_index_is_rebuilt(place):
    image = place.image('a.img', random.Random(3).randbytes(MIB))
    place.run('archive', image, '--id', 'one')
    for path in (place.path / 'repository' / 'index').iterdir():
        path.unlink()
    place.environment['XDG_CACHE_HOME'] = f'{place.path}/cache2'
    place.run('verify', status=3)
    assert place.run('rebuild-index')['packs_damaged'] == 0
    place.run('restore', 'one', f'{place.path}/out.img')
    assert read(f'{place.path}/out.img') == read(image)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_work_and_the_next_run_goes_on(place, number):
    image = place.image('a.img', os.urandom(256 * MIB))
    with subprocess.Popen(place.argv('archive', image, '--id', 'one'), env=place.environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        packs = place.path / 'repository' / 'packs'
        deadline = time.monotonic() + 60
        while not (packs.is_dir() and any(packs.rglob('*/*'))):
            assert time.monotonic() < deadline
            assert process.poll() is None
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert 'used again' in said
    assert place.run('list') == []
    place.run('archive', image, '--id', 'one')
    assert place.run('verify', '--full')['problems'] == []


def test_memory_stays_bounded_on_ten_tebibytes(place):
    """A sparse volume as large as they come, with data here and there."""
    image = f'{place.path}/huge.img'
    data = random.Random(5).randbytes(MIB)
    with open(image, 'wb') as stream:
        stream.truncate(10 << 40)
        for at in (0, 1 << 40, (10 << 40) - MIB):
            stream.seek(at)
            stream.write(data[:-7] + at.to_bytes(7, 'big'))
    out = f'{place.path}/out.img'
    for arguments in (('archive', image, '--id', 'one'),
                      ('archive', image, '--id', 'two', '--parent', 'one'),
                      ('restore', 'two', out)):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, '-c', _PRINT_PEAK, *place.argv(*arguments)[3:]],
            env=place.environment, capture_output=True, text=True, timeout=120, check=True)
        peak_kib, = re.findall(r'VmHWM:\s+(\d+) kB', done.stdout)
        assert int(peak_kib) < 200 * 1024
        assert time.monotonic() - started < 60
    with open(out, 'rb') as stream:
        for at in (0, 1 << 40, (10 << 40) - MIB):
            stream.seek(at)
            assert stream.read(MIB) == data[:-7] + at.to_bytes(7, 'big')
    assert os.stat(out).st_blocks * 512 < 16 * MIB


def test_no_oslo_is_imported():
    """The start counts: a verb on a repository must not pay for the service around it."""
    code = ('import sys; from backupsvc.cmd import manage; '
            'manage.main(["repository", "list", "--repository", "file:///nowhere", '
            '"--key-file", "/nowhere/key"]); '
            'import backupsvc.engine.archiver, backupsvc.engine.restorer; '
            'found = [name for name in sys.modules if name.startswith(("oslo", "stevedore", '
            '"numpy", "sqlalchemy", "webob"))]; sys.exit(repr(found) if found else 0)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_raw_target_with_content_is_zeroed_by_punching(tmp_path):
    path = str(tmp_path / 'target.img')
    with open(path, 'wb') as stream:
        stream.write(b'\xff' * (4 * MIB))
    target = RawFileTarget(path, 4 * MIB)
    assert not target.is_zeroed
    target.zero(MIB, 2 * MIB)
    target.zero(5, 10)
    target.flush()
    target.close()
    assert read(path) == b'\xff' * 5 + bytes(10) + b'\xff' * (MIB - 15) + bytes(2 * MIB) \
        + b'\xff' * MIB
    assert os.stat(path).st_blocks * 512 <= 2 * MIB
