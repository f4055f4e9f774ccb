# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage task``: what is being worked on, how far it is, and what to do now."""

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from backupsvc import cmd

if TYPE_CHECKING:
    from backupsvc.objects.task import Task

#: Seconds between two looks of ``watch``.
INTERVAL_S = 0.2

SHOWN = ('id', 'kind', 'resource_id', 'project_id', 'state', 'phase', 'owner', 'attempt',
         'bytes_total', 'bytes_done', 'bytes_read', 'bytes_new', 'bytes_stored',
         'cancel_requested', 'error', 'created_at', 'started_at', 'finished_at')


def add_parser(subparsers: Any) -> None:
    """Add the verb and its actions."""
    parser = subparsers.add_parser('task', help='list the tasks, or watch one')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    listing = actions.add_parser('list', help='list the tasks that have work left')
    listing.add_argument('--all', action='store_true', help='list those that have ended too')
    showing = actions.add_parser('show', help='show one task')
    showing.add_argument('id', metavar='TASK')
    watching = actions.add_parser(
        'watch', help='follow the newest task of a backup to its end',
        description='Follow the newest task of a backup to its end. The exit status is 0 when it '
                    'is done, 1 when it failed or was cancelled.')
    watching.add_argument('resource_id', metavar='BACKUP')
    queueing = actions.add_parser(
        'queue', help='have a manager verify or prune repositories',
        description='Have a manager verify or prune repositories: all, or those of a project or '
                    'of a name. A manager begins at its next look for tasks. One that has work '
                    'left of this kind gets no second.')
    queueing.add_argument('kind', choices=('verify', 'prune'))
    queueing.add_argument('--project', metavar='ID', help='those of this project only')
    queueing.add_argument('--container', metavar='NAME', help='those in this container only')
    queueing.add_argument('--full', action='store_true',
                          help='verify every byte, not only that all objects are there')
    for action in (listing, showing, watching, queueing):
        action.add_argument('--json', action='store_true',
                            help='print JSON; watch prints a line for each change')


def run(args: argparse.Namespace) -> int:
    """Carry the action out; return the exit status."""
    from backupsvc import context, exception, objects
    cmd.config_of(args)
    objects.register_all()
    action = {'list': _list, 'show': _show, 'watch': _watch, 'queue': _queue}[args.action]
    try:
        return action(context.get_admin_context(), args)
    except exception.NotFound as error:
        print(error.message, file=sys.stderr)
        return 1


def _values(task: 'Task') -> dict[str, Any]:
    values = {name: getattr(task, name) for name in SHOWN}
    return {name: value.isoformat() if name.endswith('_at') and value else value
            for name, value in values.items()}


def _list(context: Any, args: argparse.Namespace) -> int:
    from backupsvc import states
    from backupsvc.objects.task import TaskList
    filters = {} if args.all else {'state': states.TASK_LIVE}
    tasks = [_values(task) for task in TaskList.get_all(context, filters)]
    if args.json:
        print(json.dumps(tasks))
        return 0
    for task in tasks:
        print(f'{task["id"]}  {task["kind"]:<8} {task["resource_id"]}  {task["state"]:<9} '
              f'{_percent(task):>4}  {task["owner"] or ""}')
    if not tasks:
        print('Nothing is being worked on.' if not args.all else 'There are no tasks.',
              file=sys.stderr)
    return 0


def _percent(task: dict[str, Any]) -> str:
    total = task['bytes_total']
    return f'{100 * task["bytes_done"] // total}%' if total else ''


def _show(context: Any, args: argparse.Namespace) -> int:
    from backupsvc.objects.task import Task
    task = Task.get_by_id(context, args.id)
    values = _values(task)
    report = (task.resume_point or {}).get('report')
    if args.json:
        print(json.dumps(values if report is None else {**values, 'report': report}))
        return 0
    for name, value in values.items():
        print(f'{name:<17} {"" if value is None else value}')
    for problem in (report or {}).get('problems', ()):
        print(f'{"problem":<17} {problem["message"]}')
    return 0


def _queue(context: Any, args: argparse.Namespace) -> int:
    from backupsvc.objects.repository import RepositoryList
    from backupsvc.objects.task import Task
    if args.full and args.kind != 'verify':
        print('--full is for verify only', file=sys.stderr)
        return 2
    filters = {name: value for name, value in (
        ('project_id', args.project), ('container', args.container)) if value is not None}
    queued = []
    for repository in RepositoryList.get_all(context, filters):
        if any(task.kind == args.kind for task in Task.live_for(context, repository.id)):
            continue
        task = Task(context, kind=args.kind, resource_id=repository.id,
                    project_id=repository.project_id, request_id=context.request_id,
                    arguments={'full': True} if args.full else {})
        task.create()
        queued.append({'task': task.id, 'project_id': repository.project_id,
                       'container': repository.container})
    if args.json:
        print(json.dumps(queued))
        return 0
    for each in queued:
        print(f'{each["task"]}  {each["project_id"]}  {each["container"]}')
    if not queued:
        print('There is no repository to do this for.', file=sys.stderr)
    return 0


def _watch(context: Any, args: argparse.Namespace) -> int:
    from backupsvc import exception, states
    from backupsvc.objects.task import Task, TaskList
    tasks = list(TaskList.get_all(context, {'resource_id': args.resource_id}))
    if not tasks:
        raise exception.NotFound(f'There is no task of {args.resource_id}.')
    task = tasks[-1]
    show = _JsonLines() if args.json else _Bar(task.kind)
    with show as update:
        while True:
            update(_values(task))
            if not task.is_live:
                break
            time.sleep(INTERVAL_S)
            task = Task.get_by_id(context, task.id)
    if task.state == states.DONE:
        return 0
    print(f'{task.state}: {task.error or ""}', file=sys.stderr)
    return 1


class _JsonLines:
    """Prints the values as a line of JSON whenever they have changed."""

    def __enter__(self) -> Any:
        self.last: dict[str, Any] | None = None
        return self._update

    def __exit__(self, *exc_info: Any) -> None:
        return None

    def _update(self, values: dict[str, Any]) -> None:
        if values != self.last:
            print(json.dumps(values), flush=True)
            self.last = values


class _Bar:
    """Draws a progress bar."""

    def __init__(self, kind: str):
        self.kind = kind

    def __enter__(self) -> Any:
        from rich import progress
        self.progress = progress.Progress(
            progress.TextColumn('{task.description}'), progress.BarColumn(),
            progress.TaskProgressColumn(), progress.DownloadColumn(),
            progress.TransferSpeedColumn(), progress.TimeElapsedColumn())
        self.progress.start()
        self.bar = self.progress.add_task(self.kind, total=None)
        return self._update

    def __exit__(self, *exc_info: Any) -> None:
        self.progress.stop()

    def _update(self, values: dict[str, Any]) -> None:
        self.progress.update(self.bar, total=values['bytes_total'] or None,
                             completed=values['bytes_done'],
                             description=f'{self.kind}: {values["phase"] or values["state"]}')
