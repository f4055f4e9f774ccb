# SPDX-License-Identifier: Apache-2.0
"""Drives cinder-backup's own posix driver on a raw file; what it does with the bytes is untouched.

Runs in an environment where ``cinder`` is installed; only the database and the notifier are stood
in for. Prints ``BENCH {...}`` with the figures of the operation itself: a service does not pay its
imports each time.

Usage: ``cinder_driver.py backup REPO VOLUME NAME PARENT`` or ``cinder_driver.py restore REPO NAME
OUT``; the compression by the environment, ``BENCH_CINDER_COMPRESSION=zlib|zstd``.
"""

import contextlib
import json
import os
import resource
import sys
import time

from cinder import monkey_patch

monkey_patch.patch()

from cinder import context, objects, utils  # noqa: E402 - patched before
from cinder.backup.drivers import posix  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers the options
from cinder.db import api as database  # noqa: E402
from cinder.volume import volume_utils  # noqa: E402
from oslo_config import cfg  # noqa: E402

GIB = 1 << 30


class Record(dict):
    """A backup's row, in a JSON file: attributes and items, like the versioned object."""

    path = ''

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name, value):
        self[name] = value

    @classmethod
    def rows(cls):
        if not os.path.exists(cls.path):
            return {}
        with open(cls.path) as stream:
            return json.load(stream)

    @classmethod
    def get_row(cls, row_id):
        return cls(cls.rows()[row_id])

    def save(self):
        rows = {**self.rows(), self['id']: dict(self)}
        with open(self.path, 'w') as stream:
            json.dump(rows, stream)

    def refresh(self):
        pass

    @contextlib.contextmanager
    def as_read_deleted(self):
        yield


class Volumes:
    """The one question that the driver asks the database."""

    def __init__(self, size_gb):
        self._size_gb = size_gb

    def volume_get(self, _context, volume_id):
        return {'id': volume_id, 'size': self._size_gb}


def main():
    """Back up or restore once."""
    verb, repository = sys.argv[1:3]
    objects.register_all()
    cfg.CONF([], project='cinder')
    cfg.CONF.set_override('backup_compression_algorithm',
                          os.environ.get('BENCH_CINDER_COMPRESSION', 'zlib'))
    cfg.CONF.set_override('backup_posix_path', repository)
    cfg.CONF.set_override('connection', 'sqlite://', 'database')
    database.dispose_engine = lambda: None
    volume_utils.notify_about_backup_usage = lambda *args, **kwargs: None
    os.makedirs(repository, exist_ok=True)
    Record.path = os.path.join(repository, 'rows.json')
    objects.Backup.get_by_id = staticmethod(lambda _context, row_id: Record.get_row(row_id))
    driver = posix.PosixBackupDriver(context.get_admin_context())
    driver.get_metadata = lambda volume_id: '{"version": 2}'
    driver.put_metadata = lambda volume_id, metadata: None
    started, before = time.perf_counter(), os.times()
    if verb == 'backup':
        backup(driver, *sys.argv[3:6])
    else:
        restore(driver, *sys.argv[3:5])
    after = os.times()
    print('BENCH', json.dumps({
        'wall': round(time.perf_counter() - started, 3),
        'cpu': round(after.user + after.system - before.user - before.system, 3),
        'rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def backup(driver, volume, name, parent):
    """Back a raw file up under a name; ``-`` is no parent."""
    size_gb = -(-os.path.getsize(volume) // GIB)
    driver.db = Volumes(size_gb)
    record = Record(
        id=f'aabb{name}', volume_id='volume', container=None, service_metadata=None,
        display_name=name, display_description='', created_at='now', size=size_gb,
        parent_id=None if parent == '-' else f'aabb{parent}', status='creating', object_count=0)
    with open(volume, 'rb') as stream:
        driver.backup(record, utils.tpool_wrap(stream))
    record.status = 'available'
    record.save()


def restore(driver, name, out):
    """Restore a backup to a new raw file."""
    record = Record.get_row(f'aabb{name}')
    record.status = 'restoring'
    driver.db = Volumes(record['size'])
    with open(out, 'wb') as stream:
        stream.truncate(record['size'] * GIB)
    with open(out, 'r+b') as stream:
        driver.restore(record, 'volume', utils.tpool_wrap(stream), True)


if __name__ == '__main__':
    main()
