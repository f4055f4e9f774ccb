# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage openapi``: the OpenAPI documents of the dialects."""

import argparse
import re
import sys
from typing import Any

from backupsvc import cmd


def _version(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d{1,4})\.(\d{1,4})', text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a version such as 3.43')
    return int(match[1]), int(match[2])


def add_parser(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser('openapi', help='print the OpenAPI document of a dialect')
    parser.add_argument('dialect', nargs='?', metavar='DIALECT', help='name of a dialect')
    parser.add_argument('--list', action='store_true', help='list the dialects that are served')
    parser.add_argument(
        '--microversion', type=_version, metavar='X.Y', help='describe this one, not the highest'
    )


def run(args: argparse.Namespace) -> int:
    """Print; return 1 when there is no such dialect or no such version."""
    from backupsvc.wsgi import microversion, openapi, root

    conf = cmd.config_of(args)
    dialects = {each.name: each for each in root.load_dialects(conf)}
    if args.list:
        print('\n'.join(f'{name:<20} {each.title}' for name, each in dialects.items()))
        return 0
    dialect = dialects.get(args.dialect)
    if dialect is None:
        print(f'name one of: {", ".join(dialects)}', file=sys.stderr)
        return 1
    bounds, wanted = dialect.versions, args.microversion
    if wanted and not (bounds and bounds.minimum <= wanted <= bounds.maximum):
        text = (
            'no microversions'
            if bounds is None
            else (f'{microversion.text(bounds.minimum)} to {microversion.text(bounds.maximum)}')
        )
        print(f'{dialect.name} has {text}', file=sys.stderr)
        return 1
    rows = root.served_rows(dialect, conf)
    print(openapi.to_json(openapi.document(dialect, rows, wanted)))
    return 0
