# SPDX-License-Identifier: Apache-2.0
"""What may be configured of checkpoints, and what is refused at the start of a process."""

import datetime

import pytest
from oslo_config import cfg

from backupsvc import conf
from backupsvc.conf import durations
from backupsvc.orchestration import checkpoints

UTC = datetime.UTC


def parsed(tmp_path, text):
    path = tmp_path / 'backupsvc.conf'
    path.write_text(f'[DEFAULT]\nhost = here\n[actuator]\n{text}\n')
    config = conf.new_config()
    config([], project='backupsvc', default_config_files=[str(path)], default_config_dirs=[])
    return config


def test_partitions_over_several_lines(tmp_path, monkeypatch):
    config = parsed(tmp_path, 'partitions = 2=instance:i-2@node-1,\n  1=volume:v1,\n'
                              '  2147483647=database:d@a.b')
    monkeypatch.setattr(conf, '_current', config)
    found = checkpoints.cluster()
    assert found.is_configured and not found.makes_ids
    assert found.partitions == (
        checkpoints.Partition(1, 'volume', 'v1', 'here'),
        checkpoints.Partition(2, 'instance', 'i-2', 'node-1'),
        checkpoints.Partition(2147483647, 'database', 'd', 'a.b'))


@pytest.mark.parametrize(('text', 'makes_ids'), [
    ('', False), ('continuous = true', True), ('schedule = PT1H', True),
    ('schedule = 0 0 * * *', True)])
def test_who_makes_ids(tmp_path, monkeypatch, text, makes_ids):
    monkeypatch.setattr(conf, '_current', parsed(tmp_path, text))
    found = checkpoints.cluster()
    assert (found.is_configured, found.makes_ids) == (False, makes_ids)


@pytest.mark.parametrize('text', [
    'partitions = 0=volume:v', 'partitions = 2147483648=volume:v', 'partitions = -1=volume:v',
    'partitions = 1=disk:v', 'partitions = 1=volume', 'partitions = 1:volume:v',
    'partitions = 1=volume:a,1=volume:b', 'partitions = 1=volume:a,2=volume:a',
    'partitions = 1=volume:../etc', 'schedule = often', 'schedule = * * * *',
    'schedule = 99 * * * *', 'schedule = P1M', 'schedule = PT0S', 'schedule = P',
    'retention_window = 7', 'retention_window = P1Y', 'retention_count = -1'])
def test_what_cannot_be_meant_is_refused(tmp_path, text):
    with pytest.raises((ValueError, cfg.ConfigFileValueError)):
        config = parsed(tmp_path, text)
        config.actuator[text.split(' ')[0]]


@pytest.mark.parametrize(('text', 'seconds'), [
    ('PT30S', 30), ('PT4H30M', 16200), ('P1D', 86400), ('P2W', 1209600), ('P1DT1H', 90000),
    ('R/PT1M', 60)])
def test_intervals(text, seconds):
    assert durations.parse(text).total_seconds() == seconds


@pytest.mark.parametrize(('schedule', 'after', 'then'), [
    ('PT1H', (2026, 1, 1, 0, 30), (2026, 1, 1, 1, 30)),
    ('0 */4 * * *', (2026, 1, 1, 0, 30), (2026, 1, 1, 4, 0)),
    ('0 */4 * * *', (2026, 1, 1, 4, 0), (2026, 1, 1, 8, 0)),
    ('15 2 29 2 *', (2026, 1, 1, 0, 0), (2028, 2, 29, 2, 15)),
    ('0 0 * * 1', (2026, 1, 1, 0, 0), (2026, 1, 5, 0, 0)),
])
def test_times_of_schedules(schedule, after, then):
    durations.check_schedule(schedule)
    assert durations.next_time(
        schedule, datetime.datetime(*after, tzinfo=UTC)) == datetime.datetime(*then, tzinfo=UTC)
