# SPDX-License-Identifier: Apache-2.0
"""What managers do, as families of Prometheus."""

from collections.abc import Iterator

from prometheus_client import metrics_core

from backupsvc.orchestration import monitoring

#: Kinds of tasks that write what was backed up to somewhere.
_RESTORES = frozenset({'restore', 'rollback', 'provision_database'})

#: States of tasks in which there is work in them; a kind that has some in one is shown in both.
_LIVE = ('queued', 'running')


class Work:
    """A collector over one reading of the records."""

    def __init__(self, work: monitoring.Work):
        self._live = work.live
        self._managers = work.managers
        self._ended = [each for each in work.ended if each.outcome != monitoring.TAKEN_OVER]
        self._taken_over = [each for each in work.ended if each.outcome == monitoring.TAKEN_OVER]

    def collect(self) -> Iterator[metrics_core.Metric]:
        """Yield the families."""
        yield self._tasks()
        yield self._waits()
        yield self._outcomes()
        yield self._durations()
        yield from self._bytes()
        yield self._takeovers()
        yield self._liveness()

    def _tasks(self) -> metrics_core.Metric:
        family = metrics_core.GaugeMetricFamily(
            'backupsvc_tasks', 'Tasks that have not ended, by kind and state.',
            labels=('kind', 'state'))
        found = {(each.kind, each.state): each.tasks for each in self._live}
        for kind in sorted({each.kind for each in [*self._live, *self._ended]}):
            for state in _LIVE:
                family.add_metric((kind, state), found.get((kind, state), 0))
        return family

    def _waits(self) -> metrics_core.Metric:
        family = metrics_core.GaugeMetricFamily(
            'backupsvc_queue_age_seconds',
            'Seconds that the longest waiting task has been due and unclaimed, by kind.',
            labels=('kind',))
        waits = {each.kind: each.waits_s for each in self._live if each.waits_s is not None}
        for kind in sorted({each.kind for each in [*self._live, *self._ended]}):
            family.add_metric((kind,), waits.get(kind, 0))
        return family

    def _outcomes(self) -> metrics_core.Metric:
        family = metrics_core.CounterMetricFamily(
            'backupsvc_tasks_ended', 'Tasks that have ended, by kind and outcome.',
            labels=('kind', 'outcome'))
        for each in self._ended:
            family.add_metric((each.kind, each.outcome), each.tasks)
        return family

    def _durations(self) -> metrics_core.Metric:
        family = metrics_core.HistogramMetricFamily(
            'backupsvc_task_duration_seconds',
            'Seconds from the first start of a task to its end, by kind and outcome.',
            labels=('kind', 'outcome'))
        for each in self._ended:
            bounds = [(str(float(bound)), number) for bound, number
                      in zip(monitoring.BOUNDS, each.within, strict=True)]
            family.add_metric(
                (each.kind, each.outcome), [*bounds, ('+Inf', each.tasks)], each.seconds)
        return family

    def _bytes(self) -> Iterator[metrics_core.Metric]:
        families = {
            'read': metrics_core.CounterMetricFamily(
                'backupsvc_read_bytes', 'Bytes read from what is backed up, by kind of task.',
                labels=('kind',)),
            'stored': metrics_core.CounterMetricFamily(
                'backupsvc_stored_bytes',
                'Bytes written to repositories, after deduplication and compression, by kind of '
                'task.', labels=('kind',)),
            'restored': metrics_core.CounterMetricFamily(
                'backupsvc_restored_bytes',
                'Bytes of volumes and databases that were written back, by kind of task.',
                labels=('kind',)),
        }
        for kind in sorted({each.kind for each in self._ended}):
            ended = [each for each in self._ended if each.kind == kind]
            if kind in _RESTORES:
                families['restored'].add_metric((kind,), sum(each.bytes_done for each in ended))
                continue
            families['read'].add_metric((kind,), sum(each.bytes_read for each in ended))
            families['stored'].add_metric((kind,), sum(each.bytes_stored for each in ended))
        yield from families.values()

    def _takeovers(self) -> metrics_core.Metric:
        family = metrics_core.CounterMetricFamily(
            'backupsvc_lease_takeovers',
            'Tasks claimed from a manager that let its lease run out, by kind.',
            labels=('kind',))
        for each in self._taken_over:
            family.add_metric((each.kind,), each.tasks)
        return family

    def _liveness(self) -> metrics_core.Metric:
        family = metrics_core.GaugeMetricFamily(
            'backupsvc_manager_up', 'Whether a manager was seen lately.', labels=('host',))
        for host, is_up in sorted(self._managers.items()):
            family.add_metric((host,), is_up)
        return family
