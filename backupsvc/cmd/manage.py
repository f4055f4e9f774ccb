# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage``: imports only the module of the verb, so that every verb starts fast.

A verb module exports ``add_parser(subparsers)``, which is cheap, and ``run(args) -> int``, the
exit status. It asks ``backupsvc.cmd.config_of(args)`` for a configuration when it needs one.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from backupsvc import cmd

#: verb → module of this package
VERBS = {
    'checkpoint': 'checkpoint',
    'db': 'database',
    'instance': 'instance',
    'keys': 'keys',
    'openapi': 'openapi',
    'recover': 'recover',
    'repository': 'repository',
    'service': 'service',
    'task': 'task',
    'volume': 'volume',
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='backupsvc-manage', description='Manage a backup service and its repositories.',
        allow_abbrev=False)
    parser.add_argument('--version', action='store_true', help='print the version and exit')
    cmd.add_config_arguments(parser)
    return parser


def _verb(argv: Sequence[str]) -> str | None:
    """Return the first positional argument."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    cmd.add_config_arguments(scan)
    scan.add_argument('verb', nargs='?')
    try:
        return scan.parse_known_args(argv)[0].verb
    except argparse.ArgumentError:
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit status: 0 done, 1 failed, 2 wrong usage."""
    argv = sys.argv[1:] if argv is None else list(argv)
    verb = _verb(argv)
    wanted = {verb: VERBS[verb]} if verb in VERBS else VERBS
    parser = _parser()
    subparsers = parser.add_subparsers(dest='verb', metavar='VERB')
    modules = {name: importlib.import_module(f'{cmd.__name__}.{module}')
               for name, module in wanted.items()}
    for module in modules.values():
        module.add_parser(subparsers)
    args = parser.parse_args(argv)
    if args.version:
        from backupsvc import version
        print(version.version_string())
        return 0
    if args.verb is None:
        parser.print_help(sys.stderr)
        return 2
    return modules[args.verb].run(args)


if __name__ == '__main__':
    sys.exit(main())
