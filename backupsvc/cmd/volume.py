# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage volume``: the volumes that the driver keeps itself, and their raw files."""

import argparse
import json
import sys
from typing import Any

from backupsvc import cmd


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser('volume', help='find the raw files of local volumes')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    path = actions.add_parser(
        'path', help="print the path of a volume's raw file, to put data in with any tool")
    path.add_argument('volume', metavar='ID')
    listing = actions.add_parser('list', help='list the volumes of all projects')
    listing.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    from backupsvc import context, exception
    from backupsvc.drivers import loader
    from backupsvc.drivers.base import Listing
    conf = cmd.config_of(args)
    driver = loader.volume_driver()
    if not driver.serves_volumes:
        print(f'The volume driver {conf.volume.driver} keeps no volumes itself.', file=sys.stderr)
        return 1
    admin = context.get_admin_context()
    if args.action == 'list':
        return _list(driver.list_volumes(admin, Listing()), args.json)
    try:
        print(driver.raw_path(admin, args.volume))
    except exception.BackupsvcError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _list(volumes: Any, as_json: bool) -> int:
    rows = [{'id': volume.id, 'name': volume.name, 'status': volume.status,
             'size_gb': volume.size_gb, 'project_id': volume.project_id}
            for volume in volumes]
    if as_json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        cells = ['' if value is None else str(value) for value in row.values()]
        print('  '.join(f'{cell:<36}' for cell in cells).rstrip())
    return 0
