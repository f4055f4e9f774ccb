# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage checkpoint``: the checkpoints of the cluster, and the way back from one."""

import argparse
import contextlib
import dataclasses
import datetime
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backupsvc import cmd

if TYPE_CHECKING:
    from backupsvc.orchestration.checkpoint_restores import RestoredVolume

#: Seconds between two looks at restores.
INTERVAL_S = 0.2


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser(
        'checkpoint', help='list the checkpoints of the cluster, or restore one')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    listing = actions.add_parser('list', help='list the checkpoints, the latest first')
    listing.add_argument('--prefix', metavar='DIGITS', help='only ids that begin so')
    showing = actions.add_parser('show', help='show one checkpoint with its partitions')
    showing.add_argument('id', metavar='ID', type=int)
    restoring = actions.add_parser(
        'restore', help='restore every partition to new volumes',
        description='Restore every volume of every partition of a completed checkpoint to a new '
                    'volume of its project, and wait for the end. Every byte is verified before '
                    'it is written. The exit status is 0 when all are restored, else 1.')
    restoring.add_argument('id', metavar='ID', type=int)
    restoring.add_argument('--into', metavar='NAME', required=True,
                           help='what the names of the new volumes begin with: NAME-PARTITION, or '
                                'NAME-PARTITION-DEVICE')
    restoring.add_argument('--partitions', metavar='NUMBER', type=int,
                           help='how many partitions the checkpoint has to have, by default as '
                                'many as are configured')
    for action in actions.choices.values():
        action.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    from backupsvc import context, exception, objects
    cmd.config_of(args)
    objects.register_all()
    action = {'list': _list, 'show': _show, 'restore': _restore}[args.action]
    try:
        return action(context.get_admin_context(), args)
    except exception.BackupsvcError as error:
        print(error.message.strip(), file=sys.stderr)
        return 1


def _list(context: Any, args: argparse.Namespace) -> int:
    from backupsvc.orchestration import checkpoints
    found = checkpoints.list_(context, args.prefix)
    if args.json:
        print(json.dumps([_values(each) for each in found]))
        return 0
    for each in found:
        begun = min((part.created_at for part in each.partitions if part.created_at),
                    default=None)
        print(f'{each.id:>20}  {each.state:<12} {f"{begun:%Y-%m-%d %H:%M:%S}" if begun else ""}')
    if not found:
        print('There are no checkpoints.', file=sys.stderr)
    return 0


def _show(context: Any, args: argparse.Namespace) -> int:
    from backupsvc.orchestration import checkpoints
    found = checkpoints.get(context, args.id)
    if args.json:
        print(json.dumps(_values(found)))
        return 0
    print(f'{"id":<17} {found.id}\n{"state":<17} {found.state}')
    if found.failure_reason:
        print(f'{"failure_reason":<17} {found.failure_reason.strip()}')
    for part in found.partitions:
        print()
        for name, value in _values(part).items():
            if value is not None:
                print(f'{name:<17} {value}')
    return 0


def _values(found: Any) -> Any:
    """Return a value of the use cases as JSON has it."""
    if dataclasses.is_dataclass(found):
        return {field.name: _values(getattr(found, field.name))
                for field in dataclasses.fields(found)}
    if isinstance(found, tuple):
        return [_values(each) for each in found]
    return found.isoformat() if isinstance(found, datetime.datetime) else found


def _restore(context: Any, args: argparse.Namespace) -> int:
    from backupsvc import rpc
    from backupsvc.orchestration import checkpoint_restores
    volumes = checkpoint_restores.restore(
        context, args.id, args.into, partitions=args.partitions)
    rpc.flush()
    errors = _follow(context, volumes)
    if args.json:
        print(json.dumps([{**_values(each), 'error': errors.get(each.new_volume_id)}
                          for each in volumes]))
    else:
        for each in volumes:
            print(f'partition {each.partition_id}  {each.volume_id} -> {each.new_volume_id}  '
                  f'{each.new_name}')
    for each in volumes:
        if each.new_volume_id in errors:
            print(f'Volume {each.new_volume_id} was not restored: {errors[each.new_volume_id]}',
                  file=sys.stderr)
    return 1 if errors else 0


def _follow(context: Any, volumes: Sequence['RestoredVolume']) -> dict[str, str]:
    """Return, when all restores have ended, new volume id → why it was not restored."""
    from backupsvc import states
    from backupsvc.objects.task import TaskList
    wanted = {each.new_volume_id for each in volumes}
    with _bar() as update:
        while True:
            tasks = {task.arguments['volume_id']: task for task in TaskList.get_all(context, {
                'kind': states.TASK_RESTORE,
                'resource_id': [each.backup_id for each in volumes]})}
            tasks = {volume_id: task for volume_id, task in tasks.items() if volume_id in wanted}
            update(sum(task.bytes_done for task in tasks.values()),
                   sum(task.bytes_total for task in tasks.values()))
            if not any(task.is_live for task in tasks.values()):
                break
            time.sleep(INTERVAL_S)
    return {volume_id: task.error or task.state for volume_id, task in tasks.items()
            if task.state != states.DONE}


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Yield what shows (bytes done, bytes in all) as a bar, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich import console, progress
    bar = progress.Progress(
        progress.TextColumn('{task.description}'), progress.BarColumn(),
        progress.DownloadColumn(binary_units=True), progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(), console=console.Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task('restore', total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
