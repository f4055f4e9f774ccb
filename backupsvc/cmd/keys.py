# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage keys``: which keys wrap the repositories' master keys, and changing them."""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backupsvc import cmd

if TYPE_CHECKING:
    from backupsvc.engine.repository import Repository
    from backupsvc.manager.keyring import Keyring
    from backupsvc.objects.repository import Repository as Record


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser('keys', help='show and change what wraps the repositories')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    listing = actions.add_parser('list', help='show which key wraps each repository')
    listing.add_argument('--json', action='store_true', help='print JSON')
    actions.add_parser(
        'rotate', help='make a new key and wrap every repository by it',
        description='Make a new key, in the key file or in the key manager, and wrap every '
                    'repository by it. Older keys stay. A new key of a key manager has to be '
                    'named in [keys] key_id afterwards.')
    actions.add_parser(
        'rewrap', help='wrap every repository by the configured key',
        description='Wrap every repository by the configured key: after [keys] was changed, or '
                    'when a rotation did not come to its end. May be run again.')
    removing = actions.add_parser(
        'remove', help='remove a key for good',
        description='Remove a key from the key file or the key manager for good. Refused while a '
                    'repository that the database knows is wrapped by it.')
    removing.add_argument('reference', metavar='KEY', help='as "keys list" shows it')


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    from backupsvc import context, exception, objects
    from backupsvc.manager import keyring
    cmd.config_of(args)
    objects.register_all()
    admin = context.get_admin_context()
    action = {'list': _list, 'rotate': _rotate, 'rewrap': _rewrap, 'remove': _remove}[args.action]
    try:
        return action(admin, keyring.get_wrapper(admin), args)
    except exception.BackupsvcError as error:
        return _complain(str(error))


def _list(context: Any, ring: 'Keyring', args: argparse.Namespace) -> int:
    rows, failed = [], 0
    for record in _records(context):
        row = {'id': record.id, 'driver': record.driver, 'project_id': record.project_id,
               'container': record.container, 'key': None, 'problem': None}
        try:
            with _opened(context, record) as repository:
                row['key'] = repository and repository.key_reference
        except _Unreadable as error:
            row['problem'] = str(error)
            failed += 1
        rows.append(row)
    if args.json:
        print(json.dumps({'current': ring.current, 'repositories': rows}))
    else:
        print(f'current: {ring.current or "none is configured"}')
        for row in rows:
            print(f'{row["driver"]}  {row["project_id"]}  {row["container"]}  '
                  f'{row["problem"] or row["key"] or "the repository is gone"}')
    return int(failed > 0)


def _rotate(context: Any, ring: 'Keyring', args: argparse.Namespace) -> int:
    reference = ring.rotate()
    print(f'{reference} is the new key')
    if not reference.startswith('file:'):
        print(f'next: set [keys] key_id = {reference.partition(":")[2]} on every host and restart '
              'its services', flush=True)
    else:
        print('next: copy the key file to every other host', flush=True)
    return _rewrap(context, ring, args)


def _rewrap(context: Any, ring: 'Keyring', args: argparse.Namespace) -> int:
    counts = {'rewrapped': 0, 'right already': 0, 'gone': 0}
    failed = 0
    for record in _records(context):
        try:
            counts[_rewrap_one(context, ring, record)] += 1
        except _Unreadable as error:
            failed += 1
            _complain(f'{record.driver} {record.project_id} {record.container}: {error}')
    print(f'{ring.current}: ' + ', '.join(f'{count} {what}' for what, count in counts.items()))
    if failed:
        return _complain(f'{failed} repositories were not rewrapped; next: mend what is said '
                         'above, then backupsvc-manage keys rewrap')
    return 0


def _rewrap_one(context: Any, ring: 'Keyring', record: 'Record') -> str:
    with _opened(context, record) as repository:
        if repository is None:
            return 'gone'
        if repository.key_reference == ring.current:
            return 'right already'
        repository.rewrap(ring)
    with _opened(context, record):  # proves that the new key opens it
        return 'rewrapped'


def _remove(context: Any, ring: 'Keyring', args: argparse.Namespace) -> int:
    for record in _records(context):
        name = f'the repository {record.driver} {record.project_id} {record.container}'
        try:
            with _opened(context, record) as repository:
                if repository is not None and repository.key_reference == args.reference:
                    return _complain(f'{args.reference} wraps {name}; next: backupsvc-manage keys '
                                     'rewrap')
        except _Unreadable as error:
            return _complain(f'{name} cannot be asked for its key: {error}')
    ring.remove(args.reference)
    print(f'{args.reference} is gone')
    return 0


class _Unreadable(Exception):
    """A repository cannot be opened now."""


def _records(context: Any) -> list['Record']:
    from backupsvc.objects.repository import RepositoryList
    return list(RepositoryList.get_all(context))


@contextlib.contextmanager
def _opened(context: Any, record: 'Record') -> Iterator['Repository | None']:
    """Open the repository of a record; None where there is none (any more).

    :raises _Unreadable: it cannot be opened, or what is done with it fails
    """
    from backupsvc import exception
    from backupsvc.engine import errors
    from backupsvc.manager import repositories
    try:
        with contextlib.closing(repositories.open_repository(
                context, record.project_id, record.container,
                driver=record.driver)) as repository:
            yield repository
    except (exception.NotFound, errors.RepositoryNotFound):
        yield None
    except (exception.BackupsvcError, errors.EngineError) as error:
        raise _Unreadable(str(error)) from error


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
