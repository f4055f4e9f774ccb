# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage keys``: which keys wrap the repositories' master keys, and changing them."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from backupsvc import cmd

if TYPE_CHECKING:
    from backupsvc.manager.keyring import Keyring


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
    from backupsvc.manager import rotation
    found = list(rotation.show(context))
    if args.json:
        print(json.dumps({'current': ring.current, 'repositories': [
            {'id': each.record.id, 'driver': each.record.driver,
             'project_id': each.record.project_id, 'container': each.record.container,
             'key': each.key, 'problem': each.problem} for each in found]}))
    else:
        print(f'current: {ring.current or "none is configured"}')
        for each in found:
            print(f'{each.name}  {each.problem or each.key or "the repository is gone"}')
    return int(any(each.problem for each in found))


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
    from backupsvc.manager import rotation
    counts = {'rewrapped': 0, 'right already': 0, 'gone': 0}
    failed = 0
    for each in rotation.rewrap(context, ring):
        if each.problem:
            failed += 1
            _complain(f'{each.name}: {each.problem}')
        else:
            counts['rewrapped' if each.was_rewrapped else 'right already' if each.key
                   else 'gone'] += 1
    print(f'{ring.current}: ' + ', '.join(f'{count} {what}' for what, count in counts.items()))
    if failed:
        return _complain(f'{failed} repositories were not rewrapped; next: mend what is said '
                         'above, then backupsvc-manage keys rewrap')
    return 0


def _remove(context: Any, ring: 'Keyring', args: argparse.Namespace) -> int:
    from backupsvc.manager import rotation
    rotation.remove(context, ring, args.reference)
    print(f'{args.reference} is gone')
    return 0


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
