# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage recover``: records of backups from what lies in their repositories, after the
database was lost.
"""

import argparse
import sys
from typing import Any

from backupsvc import cmd


def add_parser(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'recover', help='make the records again of backups that a project\'s repositories hold',
        description='Make the records again of the volume backups that the repositories of a '
                    'project hold. What has a record is left as it is.')
    cmd.add_config_arguments(parser)
    parser.add_argument('project', metavar='PROJECT', help='id of the project')
    parser.add_argument('--container', action='append', metavar='NAME',
                        help='look in this container; may be repeated (default: all)')
    parser.add_argument('--driver', metavar='NAME',
                        help='repository driver (default: the configured one)')
    parser.add_argument('--dry-run', action='store_true', help='only say what would be done')


def run(args: argparse.Namespace) -> int:
    """Import what has no record; return the exit status."""
    from backupsvc import exception, objects
    from backupsvc.manager import recovering
    cmd.config_of(args)
    objects.register_all()
    counts = {True: 0, False: 0}
    try:
        for found in recovering.find(args.project, args.container, args.driver):
            print(f'{found.id}  {found.container}  {found.created_at}  '
                  f'{"has a record" if found.is_known else found.name or ""}')
            counts[found.is_known] += 1
            if not found.is_known and not args.dry_run:
                recovering.import_again(found)
    except exception.BackupsvcError as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{counts[False]} {"without a record" if args.dry_run else "recovered"}, '
          f'{counts[True]} had one')
    return 0
