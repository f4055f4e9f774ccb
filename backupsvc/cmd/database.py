# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage db``: make and upgrade the tables, check them, and remove old rows."""

import argparse
import datetime
import sys
from collections.abc import Callable
from typing import Any

from backupsvc import cmd


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f'must be a number from {least} to {most}')
        return int(text)
    return parse


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser('db', help='make, upgrade, check or purge the database')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    sync = actions.add_parser('sync', help='make the tables, or bring them up to this release')
    sync.add_argument('revision', nargs='?', default='head', metavar='VERSION',
                      help='stop at this version of the schema; the newest by default')
    actions.add_parser('version', help='print the version of the schema')
    check = actions.add_parser(
        'check', help='tell whether the schema is up to date and the quota usage right; '
                      'status 1 if not')
    check.add_argument('--fix-usage', action='store_true',
                       help='set the quota usage to what the backups add up to')
    purge = actions.add_parser(
        'purge', help='remove what was deleted, has ended or has expired long ago')
    purge.add_argument('--older-than', type=_number(0, 36500), required=True, metavar='DAYS',
                       help='remove what is older than this many days')
    purge.add_argument('--batch', type=_number(1, 10000), default=1000, metavar='ROWS',
                       help='rows removed in one transaction (default: 1000)')


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    import sqlalchemy
    from oslo_db import exception as db_exception

    from backupsvc.db import migration
    conf = cmd.config_of(args)
    action = {'sync': _sync, 'version': _version, 'check': _check, 'purge': _purge}[args.action]
    try:
        return action(args)
    except db_exception.DBNonExistentDatabase as error:
        return _complain(
            f'There is no database {error.database}. Make it first, and a user that may create '
            'tables in it.')
    except db_exception.DBConnectionError as error:
        return _complain(f'Cannot connect to {_where(conf)}: {_reason(error)}')
    except db_exception.DBNonExistentTable as error:
        return _complain(f'There is no table {error.table}: run backupsvc-manage db sync first.')
    except (migration.MigrationsNotFound, migration.SyncInProgress) as error:
        return _complain(str(error))
    except (db_exception.DBError, sqlalchemy.exc.DBAPIError) as error:
        return _complain(f'The database refuses: {_reason(error)}')
    except OSError as error:
        return _complain(f'Cannot use {_where(conf)}: {error}')
    except sqlalchemy.exc.ArgumentError as error:
        return _complain(f'[database] connection is not the URL of a database: {error}')


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


def _where(conf: Any) -> str:
    """Return the database's URL without its password."""
    import sqlalchemy
    return sqlalchemy.make_url(conf.database.connection).render_as_string(hide_password=True)


def _reason(error: Exception) -> str:
    """Return the driver's own words, without the statement."""
    inner = getattr(error, 'inner_exception', None) or error
    return str(getattr(inner, 'orig', None) or inner).strip().splitlines()[0]


def _sync(args: argparse.Namespace) -> int:
    from backupsvc.db import migration
    if args.revision != 'head' and args.revision not in migration.revisions():
        return _complain(f'There is no version {args.revision}; there are: '
                         + ', '.join(migration.revisions()))
    before = migration.version()
    if before is not None and before not in migration.revisions():
        return _complain(_unknown(before))
    migration.sync(args.revision)
    after = migration.version()
    if before == after:
        print(f'The schema is at version {after} already.')
    else:
        print(f'The schema went from {before or "nothing"} to version {after}.')
    return 0


def _unknown(version: str) -> str:
    return (f'The schema has version {version}, which this release does not know: a newer one '
            'made it.')


def _version(args: argparse.Namespace) -> int:
    from backupsvc.db import migration
    print(migration.version() or 'none')
    return 0


def _check(args: argparse.Namespace) -> int:
    from backupsvc import context
    from backupsvc.db import migration
    from backupsvc.objects import quota
    version, head = migration.version(), migration.head()
    if version is not None and version not in migration.revisions():
        return _complain(_unknown(version))
    if version != head:
        return _complain(f'The schema has version {version or "none"} and needs {head}: run '
                         'backupsvc-manage db sync.')
    print(f'The schema is at version {version}, which this release needs.')
    admin = context.get_admin_context()
    wrong = quota.recount(admin) if args.fix_usage else quota.audit(admin)
    for project_id, resources in wrong.items():
        for resource, (recorded, counted) in resources.items():
            print(f'Project {project_id}: usage of {resource} '
                  + (f'was {recorded}, is {counted} now.' if args.fix_usage
                     else f'is recorded as {recorded} but adds up to {counted}.'))
    if wrong and not args.fix_usage:
        return 1
    if not wrong:
        print('The quota usage is right.')
    return 0


def _purge(args: argparse.Namespace) -> int:
    from backupsvc import context
    from backupsvc.db import purge
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=args.older_than)
    removed = purge.purge(context.get_admin_context(), before, args.batch)
    print('Removed: ' + ', '.join(f'{count} {table}' for table, count in removed.items()) + '.')
    return 0
