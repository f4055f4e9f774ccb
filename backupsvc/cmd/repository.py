# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage repository``: raw images into a repository and back, without the service.

For emergencies, and for measuring. Nothing of oslo is imported: the start counts.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 damage was found, 130 interrupted.
"""

import argparse
import contextlib
import dataclasses
import datetime
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backupsvc.engine.manifest import ManifestInfo
    from backupsvc.engine.progress import Progress
    from backupsvc.engine.repository import Repository

FAILED, DAMAGED, INTERRUPTED = 1, 3, 130

_HINTS = {
    'RepositoryNotFound': 'make one with "backupsvc-manage repository init", or look at the URL',
    'RepositoryExists': 'use it with "backupsvc-manage repository archive"',
    'WrongKey': 'give the key file that the repository was made with by --key-file',
    'BackupNotFound': 'see what there is with "backupsvc-manage repository list"',
    'BackupExists': 'give another --id, or remove that one with "repository delete"',
    'RepositoryLocked': 'wait until it has ended and try again',
    'TargetTooSmall': 'restore to a larger device',
    'StoreFull': 'make room, then run the same command again: what was stored is used again',
    'Corrupt': 'see how far it goes with "backupsvc-manage repository verify --full"; lost index '
               'objects come back by "repository rebuild-index"',
}


def add_parser(subparsers: Any) -> None:
    """Add the verb and its own verbs."""
    parser = subparsers.add_parser('repository', help='raw images into a repository and back')
    verbs = parser.add_subparsers(dest='repository_verb', metavar='VERB', required=True)

    def verb(name: str, function: Callable[..., int], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(repository_function=function)
        added.add_argument('--repository', required=True, metavar='URL',
                           help='file:///directory, swift://container, s3://bucket/prefix')
        added.add_argument('--key-file', required=True, metavar='FILE',
                           help='the key file that opens it')
        added.add_argument('--cache-dir', metavar='DIR',
                           help='where index tables are kept (default: ~/.cache/backupsvc)')
        added.add_argument('--workers', type=int, choices=range(1, 5), metavar='N',
                           help='threads, 1 to 4 (default: the processors)')
        added.add_argument('--json', action='store_true', help='print one JSON document')
        return added

    init = verb('init', _init, 'Make a repository; the key file is made when it is not there.')
    init.add_argument('--block-size', type=int, default=65536, metavar='BYTES')
    init.add_argument('--compression', default='zstd:1',
                      choices=('zstd:1', 'zstd:3', 'lz4', 'none'))

    archive = verb('archive', _archive, 'Back up a raw image or device.')
    archive.add_argument('source', metavar='FILE')
    archive.add_argument('--id', help='id of the backup (default: a new UUID)')
    archive.add_argument('--parent', metavar='ID', help='backup to compare with, for speed')
    archive.add_argument('--name', help='kept with the backup')

    restore = verb('restore', _restore, 'Write a backup to a raw image or device.')
    restore.add_argument('id', metavar='ID')
    restore.add_argument('target', metavar='FILE')
    restore.add_argument('--overwrite', action='store_true',
                         help='write over a file or device that has content')
    restore.add_argument('--no-sync', action='store_true',
                         help='do not wait until all is on disk, as cp does not')

    verb('list', _list, 'Show the backups.')
    show = verb('show', _show, 'Show one backup.')
    show.add_argument('id', metavar='ID')

    verify = verb('verify', _verify, 'Look whether backups can be restored.')
    verify.add_argument('id', metavar='ID', nargs='*', help='which (default: all)')
    verify.add_argument('--full', action='store_true', help='read and prove every byte')

    prune = verb('prune', _prune, 'Free the space of what no backup needs.')
    prune.add_argument('--grace', type=float, default=86400.0, metavar='SECONDS',
                       help='how long unused packs stay before they are deleted (default: a day; '
                            '0 deletes now)')

    delete = verb('delete', _delete, 'Remove a backup; "prune" frees its space.')
    delete.add_argument('id', metavar='ID')

    rewrap = verb('rewrap', _rewrap, 'Wrap the master key by the current key of a key file.')
    rewrap.add_argument('--new-key-file', metavar='FILE',
                        help='key file of the new key (default: a new key in --key-file)')

    verb('rebuild-index', _rebuild_index, 'Make the index whole again from the packs.')


def run(args: argparse.Namespace) -> int:
    """Carry one verb out; errors become a text on standard error."""
    # What is imported and opened lives as long as the process: looking through it time and again
    # costs more than a small archive.
    gc.disable()
    from backupsvc import exception
    from backupsvc.engine import errors
    try:
        return args.repository_function(args)
    except errors.Cancelled:
        _say('stopped; what was stored is used again when the same command is run again')
        return INTERRUPTED
    except (errors.EngineError, exception.BackupsvcError) as exc:
        _say(f'{args.repository_verb} failed: {exc}')
        hint = _HINTS.get(type(exc).__name__)
        if hint:
            _say(f'next: {hint}')
        return DAMAGED if isinstance(exc, errors.Corrupt) else FAILED
    except OSError as exc:
        _say(f'{args.repository_verb} failed: {exc}')
        return FAILED


def _init(args: argparse.Namespace) -> int:
    from backupsvc import exception
    from backupsvc.drivers import loader
    from backupsvc.engine.repository import Parameters, Repository
    from backupsvc.manager import keyring
    try:
        parameters = Parameters.of(args.block_size, args.compression)
    except ValueError as exc:
        raise exception.InvalidInput(reason=str(exc)) from exc
    wrapper = keyring.FileKeyring(args.key_file, create=True)
    store = loader.open_repository_url(args.repository, create=True)
    with contextlib.closing(Repository.create(store, wrapper, parameters)) as repository:
        _print(args, {'repository_id': repository.id, 'key_file': args.key_file},
               f'repository {repository.id} is ready; keep {args.key_file} elsewhere too: '
               'without it nothing can be restored')
    return 0


def _archive(args: argparse.Namespace) -> int:
    from backupsvc.engine.source import RawFileSource
    backup_id = args.id or _new_id()
    facts = {'name': args.name or os.path.basename(args.source),
             'path': os.path.abspath(args.source)}
    parent = None if args.parent in (None, '-') else args.parent
    with _open(args) as repository, contextlib.closing(RawFileSource(args.source)) as source, \
            _watched('archive') as (progress, cancelled):
        result = repository.archive(source, backup_id, parent_id=parent, facts=facts,
                                    progress=progress, cancelled=cancelled)
    _print(args, dataclasses.asdict(result),
           f'backup {backup_id}: {_size(result.bytes_read)} read, '
           f'{_size(result.bytes_new)} new, {_size(result.bytes_stored)} stored '
           f'in {result.seconds:.1f} s')
    return 0


def _new_id() -> str:
    import uuid
    return str(uuid.uuid4())


def _restore(args: argparse.Namespace) -> int:
    from backupsvc import exception
    from backupsvc.engine.source import RawFileTarget
    with _open(args) as repository:
        info = repository.show_manifest(args.id)
        if not args.overwrite and _has_content(args.target):
            raise exception.InvalidInput(
                reason=f'{args.target} has content; --overwrite writes over it')
        target = RawFileTarget(args.target, _new_size(args.target, info),
                               is_synced=not args.no_sync)
        with contextlib.closing(target), _watched('restore') as (progress, cancelled):
            result = repository.restore(args.id, target, progress=progress, cancelled=cancelled)
    _print(args, dataclasses.asdict(result),
           f'{_size(result.bytes_written)} written to {args.target} in {result.seconds:.1f} s, '
           'every block proved')
    return 0


def _has_content(path: str) -> bool:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False
    return status.st_blocks > 0 or not os.path.isfile(path)


def _new_size(path: str, info: 'ManifestInfo') -> int | None:
    """Return the size to make a file; None for a device, which has its own."""
    return info.size_bytes if not os.path.exists(path) or os.path.isfile(path) else None


def _list(args: argparse.Namespace) -> int:
    with _open(args) as repository:
        found = sorted(repository.list_manifests(), key=lambda info: info.created_at)
    lines = [f'{info.id}  {info.created_at:%Y-%m-%d %H:%M:%S}  {_size(info.size_bytes):>10}  '
             f'{info.facts.get("name", "")}' for info in found]
    _print(args, [_as_json(info) for info in found], '\n'.join(lines) or 'no backups')
    return 0


def _show(args: argparse.Namespace) -> int:
    with _open(args) as repository:
        shown = _as_json(repository.show_manifest(args.id))
    _print(args, shown, '\n'.join(f'{name}: {value}' for name, value in shown.items()))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from backupsvc.engine.restorer import format_ranges
    with _open(args) as repository, _watched('verify') as (progress, cancelled):
        report = repository.verify(args.id or None, full=args.full, progress=progress,
                                   cancelled=cancelled)
    lines = [f'{problem.backup_id or "-"}: {problem.message}; bytes affected: '
             f'{format_ranges(problem.ranges)}' for problem in report.problems]
    lines.append(f'{report.checked} backups checked, {len(report.problems)} problems')
    if report.problems:
        lines.append('next: if index objects are the cause, "repository rebuild-index"; otherwise '
                     'archive the volumes again, which stores what is missing')
    _print(args, dataclasses.asdict(report), '\n'.join(lines))
    return DAMAGED if report.problems else 0


def _prune(args: argparse.Namespace) -> int:
    with _open(args) as repository, _watched('prune') as (progress, cancelled):
        report = repository.prune(grace_s=args.grace, progress=progress, cancelled=cancelled)
    _print(args, dataclasses.asdict(report),
           f'{_size(report.bytes_freed)} freed by {report.packs_deleted} packs; '
           f'{report.packs_condemned} packs wait for their grace period, '
           f'{report.packs_repacked} were repacked')
    return 0


def _delete(args: argparse.Namespace) -> int:
    with _open(args) as repository:
        repository.delete(args.id)
    _print(args, {'deleted': args.id}, f'backup {args.id} is gone; "prune" frees its space')
    return 0


def _rewrap(args: argparse.Namespace) -> int:
    from backupsvc.manager import keyring
    with _open(args) as repository:
        if args.new_key_file:
            wrapper = keyring.FileKeyring(args.new_key_file, create=True)
        else:
            wrapper = keyring.FileKeyring(args.key_file)
            wrapper.rotate()
        repository.rewrap(wrapper)
    _print(args, {'reference': wrapper.current}, f'the master key is wrapped by {wrapper.current}')
    return 0


def _rebuild_index(args: argparse.Namespace) -> int:
    with _open(args) as repository, _watched('rebuild-index') as (progress, cancelled):
        report = repository.rebuild_index(progress=progress, cancelled=cancelled)
    _print(args, dataclasses.asdict(report),
           f'{report.packs_read} packs read, {report.packs_damaged} of them damaged; '
           f'{report.segments_removed} damaged index segments removed')
    return 0


def _open(args: argparse.Namespace) -> 'contextlib.closing[Repository]':
    from backupsvc.drivers import loader
    from backupsvc.engine.repository import Repository
    from backupsvc.manager import keyring
    wrapper = keyring.FileKeyring(args.key_file)
    store = loader.open_repository_url(args.repository)
    if not args.repository.startswith(('file:', '/', '.')):
        from backupsvc.engine.stores.retry import RetryStore
        store = RetryStore(store)
    cache_dir = args.cache_dir or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'backupsvc')
    try:
        repository = Repository.open(store, wrapper, cache_dir=cache_dir, workers=args.workers)
    except BaseException:
        store.close()
        raise
    gc.freeze()
    gc.enable()
    return contextlib.closing(repository)


@contextlib.contextmanager
def _watched(
        what: str) -> 'Iterator[tuple[Callable[[Progress], None] | None, Callable[[], bool]]]':
    """Yield (progress callback, cancel check): a bar on a terminal, signals that stop the work."""
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set())
                for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if sys.stderr.isatty():
            with _bar(what) as progress:
                yield progress, stop.is_set
        else:
            yield None, stop.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _bar(what: str) -> 'Iterator[Callable[[Progress], None]]':
    from rich import console, progress
    bar = progress.Progress(
        progress.TextColumn('{task.description}'), progress.BarColumn(),
        progress.DownloadColumn(binary_units=True), progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(), console=console.Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda now: bar.update(task, completed=now.bytes_done, total=now.bytes_total)


def _as_json(info: 'ManifestInfo') -> dict[str, Any]:
    shown = dataclasses.asdict(info)
    shown['root'] = info.root.hex()
    return shown


def _print(args: argparse.Namespace, document: Any, text: str) -> None:
    print(json.dumps(document, default=_encode, indent=1) if args.json else text)


def _encode(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _size(count: float) -> str:
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if count < 1024:
            return f'{count:.0f} {unit}' if unit == 'B' else f'{count:.1f} {unit}'
        count /= 1024
    return f'{count:.1f} TiB'
