# SPDX-License-Identifier: Apache-2.0
"""Options of coordinated checkpoints: which partitions there are, when checkpoints are taken, and
which are kept.
"""

import re
from typing import Any, NamedTuple

from oslo_config import cfg, types

from backupsvc.conf import durations

GROUP = cfg.OptGroup('actuator', title='Checkpoints',
                     help='Coordinated checkpoints of a cluster, served by the management API '
                          'under /actuator/backups.')

KINDS = ('volume', 'instance', 'database')

_FORM = re.compile(
    r'(?P<id>[0-9]+)=(?P<kind>[a-z]+):(?P<resource>[0-9A-Za-z-]{1,36})(?:@(?P<broker>\S{1,255}))?')


class Partition(NamedTuple):
    """A part of the cluster, and the manager that backs it up (None: the one of ``[DEFAULT] host``
    of whoever asks).
    """

    id: int
    kind: str
    resource_id: str
    broker: str | None

    def __str__(self) -> str:
        broker = '' if self.broker is None else f'@{self.broker}'
        return f'{self.id}={self.kind}:{self.resource_id}{broker}'


class _PartitionType(types.ConfigType):
    """``<id>=<kind>:<resource id>[@<manager host>]``."""

    def __init__(self) -> None:
        super().__init__(type_name='partition')

    def __call__(self, value: Any) -> Partition:
        if isinstance(value, Partition):
            return value
        found = _FORM.fullmatch(str(value).strip())
        if found is None or found['kind'] not in KINDS:
            raise ValueError(
                f'{value!r} is not of the form ID=KIND:RESOURCE[@MANAGER], where KIND is one of '
                f'{", ".join(KINDS)}')
        if not 1 <= int(found['id']) < 2**31:
            raise ValueError(f'{value!r}: the id of a partition is from 1 to {2**31 - 1}')
        return Partition(int(found['id']), found['kind'], found['resource'], found['broker'])

    def __repr__(self) -> str:
        return 'Partition'

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def _formatter(self, value: Any) -> str:
        return str(value)


class _PartitionsType(types.List):
    """A list of partitions, each there once."""

    def __init__(self) -> None:
        super().__init__(item_type=_PartitionType(), type_name='list of partitions')

    def __call__(self, value: Any) -> list[Partition]:
        found = super().__call__(value)
        for what, values in (
                ('the id of a partition', [each.id for each in found]),
                ('the resource of a partition', [each[1:3] for each in found])):
            for each in values:
                if values.count(each) > 1:
                    raise ValueError(f'{each} is {what} more than once')
        return found


class _Checked(types.String):
    """A text that ``check`` takes."""

    def __init__(self, check: Any, type_name: str) -> None:
        super().__init__(type_name=type_name)
        self._check = check

    def __call__(self, value: Any) -> str:
        text = super().__call__(value)
        if text:
            self._check(text)
        return text


OPTS = [
    cfg.Opt('partitions', type=_PartitionsType(), default=[], sample_default='', help='''
The parts of the cluster that one checkpoint holds, each as ID=KIND:RESOURCE@MANAGER. ID is a
number from 1, RESOURCE the id of a volume, of an instance (all its volumes) or of a database
instance, as KIND says (volume, instance or database), and MANAGER the host of the manager that
backs it up; without it that is the host of the process that takes the checkpoint. Without any
partition no checkpoints can be taken. The API and all managers need the same value. A partition
that is added later is missing in the checkpoints before, which are shown as incomplete. For
example:
    partitions = 1=volume:8c1f5a0e-6c0b-4c39-9d0e-3f6f2f0b7a11@node-1,
        2=volume:0d7e0b0c-51c5-4a35-a6a4-3ab6ef6d1c55@node-2,
        3=instance:5b2f3d0a-1a51-4b59-8f67-17fdbb3a2f0c@node-1
'''),
    cfg.BoolOpt('continuous', default=False, help='''
Whether checkpoints are taken without an id being given: each gets one that is made of the time,
and a request that names one is refused. A schedule turns this on.
'''),
    cfg.IntOpt('offset', default=0, min=0, help='''
Added to the milliseconds since 1970 that the ids made here begin with. Set it when a cluster was
restored whose checkpoints had higher ids; ids rise in any case.
'''),
    cfg.Opt('schedule', type=_Checked(durations.check_schedule, 'schedule'), default='', help='''
When managers take checkpoints by themselves: a cron expression of five fields in UTC ("0 */4 * *
*"), or an ISO 8601 interval ("PT4H", "P1D"). One of them takes it, whichever comes first. A time
that comes while a checkpoint is still in progress waits for the end of that, and times that
passed while no manager ran are made up for by one. Empty takes none.
'''),
    cfg.IntOpt('retention_count', default=0, min=0, help='''
How many completed checkpoints are kept, however old; what is older than these is deleted. 0 sets
no limit. The last completed one is never deleted by this or by retention_window.
'''),
    cfg.Opt('retention_window', type=_Checked(durations.parse, 'interval'), default='', help='''
How long checkpoints are kept, as an ISO 8601 interval ("P7D"); older ones are deleted, whether
they are completed or failed. Empty sets no limit.
'''),
    cfg.FloatOpt('check_interval', default=10.0, min=0.1, help='''
Seconds between two looks of a manager for checkpoints that are due, that are to be deleted, or
whose manager has died.
'''),
    cfg.IntOpt('concurrency', default=2, min=0, help='''
How many volumes of one checkpoint each manager copies out at the same time, within its [manager]
workers. 0 sets no limit of its own.
'''),
    cfg.StrOpt('container', default='checkpoints', help='''
Container of the backups of checkpoints, in the repository of the project that each volume
belongs to. Backups stay where they are when this is changed; the next ones are made in full.
'''),
    cfg.IntOpt('call_timeout', default=15, min=1, help='''
Seconds that the managers of the partitions have to answer when a checkpoint is asked for; then
its client gets 504, and nothing has been begun.
'''),
    cfg.IntOpt('queue_limit', default=600, min=0, help='''
A manager all of whose workers are busy, and whose oldest waiting task has waited for this many
seconds, is given no checkpoint: the client gets 503.
'''),
    cfg.IntOpt('gather_timeout', default=1800, min=1, help='''
Seconds that the managers of a checkpoint may take from the request until all snapshots are
there, with all attempts; then it has failed. How long anything stands still is bounded by
[manager] quiesce_timeout.
'''),
    cfg.IntOpt('takeover_timeout', default=300, min=1, help='''
Seconds without a heartbeat after which the part of a manager in a running checkpoint is given to
any other one; where nobody else reaches the volumes it has failed.
'''),
]
