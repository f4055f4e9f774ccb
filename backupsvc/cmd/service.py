# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage service``: which processes are registered, and whether they live."""

import argparse
import json
from typing import Any

from backupsvc import cmd


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser('service', help='list the services, or forget one')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    listing = actions.add_parser('list', help='list the services and whether they are alive')
    listing.add_argument('--json', action='store_true', help='print JSON')
    removing = actions.add_parser(
        'remove', help='forget a service of a host that is gone for good')
    removing.add_argument('binary', metavar='BINARY', help='for example backupsvc-manager')
    removing.add_argument('host', metavar='HOST')


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    from backupsvc import context, objects
    from backupsvc.objects.service import ServiceList
    cmd.config_of(args)
    objects.register_all()
    admin = context.get_admin_context()
    if args.action == 'list':
        return _list(ServiceList.get_all(admin), args.json)
    found = list(ServiceList.get_all(admin, {'binary': args.binary, 'host': args.host}))
    for service in found:
        service.destroy()
    print(f'{len(found)} removed')
    return 0 if found else 1


def _list(services: Any, as_json: bool) -> int:
    rows = [{'binary': service.binary, 'host': service.host,
             'availability_zone': service.availability_zone,
             'status': 'disabled' if service.disabled else 'enabled',
             'state': 'up' if service.is_up else 'down',
             'last_seen_at': service.last_seen_at.isoformat(timespec='seconds')}
            for service in services]
    if as_json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print('  '.join(f'{value or "":<20}' for value in row.values()).rstrip())
    return 0
