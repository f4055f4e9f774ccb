# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage instance``: the instances that the driver runs itself."""

import argparse
import dataclasses
import datetime
import json
import sys
from typing import TYPE_CHECKING, Any

from backupsvc import cmd
from backupsvc.cmd import standalone

if TYPE_CHECKING:
    from backupsvc.context import RequestContext
    from backupsvc.drivers.base import Instance
    from backupsvc.drivers.instance.base import RecordsCheck


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser(
        'instance', help='make and run instances that write to local volumes')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    creating = actions.add_parser('create', help='make an instance, powered off')
    creating.add_argument('name', metavar='NAME')
    creating.add_argument('--project', metavar='ID', default=standalone.PROJECT,
                          help='the project that it and its volumes are of')
    creating.add_argument('--volume', metavar='ID', action='append', default=[],
                          help='attach this volume; may be repeated')
    listing = actions.add_parser('list', help='list the instances of all projects')
    listing.add_argument('--project', metavar='ID', help='only of this project')
    for name, text in (
            ('show', 'show one instance'),
            ('start', 'power on'),
            ('stop', 'power off'),
            ('pause', 'let it stand still'),
            ('suspend', 'end it so that it can go on where it was'),
            ('resume', 'let a paused or suspended one go on'),
            ('delete', 'power off, detach the volumes, and remove'),
            ('attach', 'attach a volume to an instance that is powered off'),
            ('detach', 'detach a volume from an instance that is powered off')):
        action = actions.add_parser(name, help=text)
        action.add_argument('instance', metavar='INSTANCE', help='id, or name if only one has it')
        if name in ('attach', 'detach'):
            action.add_argument('volume', metavar='VOLUME', help='id of the volume')
        if name == 'attach':
            action.add_argument('--device', metavar='PATH',
                                help='where the instance has it, by default the first free one')
            action.add_argument('--boot', action='store_true', help='it boots from this volume')
        if name == 'start':
            action.add_argument('--new-log', action='store_true',
                                help='forget what was written to the volumes before')
        if name == 'stop':
            action.add_argument('--force', action='store_true',
                                help='pull the plug, even while its volumes are being copied')
    checking = actions.add_parser(
        'check', help='tell whether volumes are of one point in time',
        description='Tell whether volumes that an instance wrote to, or copies of them, are of '
                    'one point in time: whether none holds a record newer than it, and none '
                    'before it is missing. The exit status is 0 when they are, else 1.')
    checking.add_argument('volume', metavar='VOLUME', nargs='+',
                          help='ids of copies of all volumes of the instance, in any order')
    checking.add_argument('--not-after', metavar='TIME', type=_time,
                          help='the point in time: ISO 8601, in UTC where no zone is named')
    for action in actions.choices.values():
        action.add_argument('--json', action='store_true', help='print JSON')


def _time(text: str) -> datetime.datetime:
    time = datetime.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    from backupsvc import context, exception
    from backupsvc.orchestration import instances
    cmd.config_of(args)
    admin = context.get_admin_context()
    try:
        instances.local()
        if args.action == 'list':
            return _list(admin, args)
        if args.action == 'check':
            return _print_check(instances.check(admin, args.volume, not_after=args.not_after),
                                args.json)
        return _act(admin, args)
    except exception.BackupsvcError as error:
        print(error.message, file=sys.stderr)
        return 1


def _act(admin: 'RequestContext', args: argparse.Namespace) -> int:
    from backupsvc.orchestration import instances
    if args.action == 'create':
        return _print(_create(args), args.json)
    instance = _find(admin, args.instance)
    if args.action == 'delete':
        instances.delete(admin, instance.id)
        return 0
    driver = instances.local()
    if args.action == 'attach':
        instance = instances.attach(admin, instance.id, args.volume, device=args.device,
                                    is_boot=args.boot)
    elif args.action == 'detach':
        instance = instances.detach(admin, instance.id, args.volume)
    elif args.action == 'start':
        instance = instances.start(admin, instance.id, new_log=args.new_log)
    elif args.action == 'stop':
        instance = driver.stop_instance(admin, instance.id, force=args.force)
    elif args.action == 'pause':
        instance = driver.pause_instance(admin, instance.id)
    elif args.action == 'suspend':
        instance = driver.suspend_instance(admin, instance.id)
    elif args.action == 'resume':
        instance = instances.resume(admin, instance.id)
    return _print(instance, args.json)


def _create(args: argparse.Namespace) -> 'Instance':
    from backupsvc import context
    from backupsvc.orchestration import instances
    owner = context.RequestContext(project_id=args.project, is_admin=True, overwrite=False)
    instance = instances.local().create_instance(owner, name=args.name)
    for volume_id in args.volume:
        instance = instances.attach(owner, instance.id, volume_id)
    return instance


def _find(admin: 'RequestContext', wanted: str) -> 'Instance':
    """Return the instance of an id, or the only one of a name."""
    from backupsvc import exception
    from backupsvc.drivers import loader
    from backupsvc.drivers.base import Listing
    driver = loader.instance_driver()
    try:
        return driver.show_instance(admin, wanted)
    except exception.InstanceNotFound:
        named = driver.list_instances(admin, Listing({'name': wanted}))
        if len(named) > 1:
            raise exception.InvalidInput(
                reason=f'{len(named)} instances are called {wanted}; give an id.') from None
        if not named:
            raise
        return named[0]


def _list(admin: 'RequestContext', args: argparse.Namespace) -> int:
    from backupsvc.drivers import loader
    from backupsvc.drivers.base import Listing
    filters = {'project_id': args.project} if args.project else {}
    found = [_values(instance) for instance in loader.instance_driver().list_instances(
        admin, Listing(filters))]
    if args.json:
        print(json.dumps(found))
        return 0
    for values in found:
        count = len(values['volumes'])
        print(f'{values["id"]}  {values["name"] or "":<20}  {values["status"]:<9}  '
              f'{f"{count} volume" + "s" * (count != 1):<10}  {values["project_id"]}')
    if not found:
        print('There are no instances.', file=sys.stderr)
    return 0


def _values(instance: 'Instance') -> dict[str, Any]:
    values = dataclasses.asdict(instance)
    return {name: value.isoformat() if name.endswith('_at') and value else value
            for name, value in values.items()}


def _print(instance: 'Instance', as_json: bool) -> int:
    values = _values(instance)
    if as_json:
        print(json.dumps(values))
        return 0
    volumes = values.pop('volumes')
    for name, value in values.items():
        print(f'{name:<17} {"" if value is None else value}'.rstrip())
    for volume in volumes:
        print(f'{"volume":<17} {volume["volume_id"]} at {volume["device"]}'
              f'{", boots from it" if volume["is_boot"] else ""}')
    return 0


def _print_check(check: 'RecordsCheck', as_json: bool) -> int:
    if as_json:
        volumes = [{**dataclasses.asdict(volume),
                    'last_at': volume.last_at.isoformat() if volume.last_at else None}
                   for volume in check.volumes]
        print(json.dumps({'is_consistent': check.is_consistent, 'problems': check.problems,
                          'volumes': volumes}))
        return 0 if check.is_consistent else 1
    for volume in sorted(check.volumes, key=lambda volume: volume.position or 0):
        print(f'{volume.volume_id}  {volume.position or "-":>3}  '
              f'{f"record {volume.last}":<15}  '
              f'{volume.last_at.isoformat() if volume.last_at else ""}'.rstrip())
        for problem in volume.problems:
            print(f'  {problem}')
    for problem in check.problems:
        print(problem)
    print('The volumes are of one point in time.' if check.is_consistent
          else 'The volumes are NOT of one point in time.')
    return 0 if check.is_consistent else 1
