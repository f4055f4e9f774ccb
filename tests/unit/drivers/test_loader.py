# SPDX-License-Identifier: Apache-2.0
"""Drivers are found by entry point, and the way there is cheap."""

import importlib.metadata
import subprocess
import sys

import pytest

from backupsvc import conf as service_conf
from backupsvc import exception
from backupsvc.drivers import loader


@pytest.fixture
def conf():
    conf = service_conf.new_config()
    loader.register_options(conf)
    conf([], project='backupsvc', default_config_dirs=[], default_config_files=[])
    service_conf.install(conf)
    loader.reset()
    yield conf
    loader.reset()


@pytest.mark.parametrize('family', loader.FAMILIES)
def test_every_entry_point_loads_under_its_name(family):
    for name in loader.list_drivers(family):
        assert loader.load_class(family, name).name == name


def test_the_configured_driver_is_made_once(conf):
    driver = loader.repository_driver()
    assert driver.name == 'posix'
    assert loader.repository_driver('posix') is driver
    assert loader.repository_driver('s3') is not driver
    loader.reset()
    assert loader.repository_driver() is not driver


def test_an_unknown_driver_is_named_with_those_there_are(conf):
    with pytest.raises(exception.DriverNotFound) as caught:
        loader.repository_driver('tape')
    assert str(caught.value) == (
        'No repository driver is called "tape"; installed are: posix, s3, swift.')


def test_a_driver_that_cannot_be_imported_stops_nobody_else(conf, monkeypatch, caplog):
    broken = importlib.metadata.EntryPoint('tape', 'no_such_module:Tape',
                                           'backupsvc.drivers.repository')
    found = importlib.metadata.entry_points

    def entry_points(group):
        points = found(group=group)
        return (*points, broken) if group == broken.group else points

    monkeypatch.setattr(importlib.metadata, 'entry_points', entry_points)
    groups = [group for group, _ in loader.list_opts()]
    assert 'repository_posix' in groups
    assert 'tape cannot be imported' in caplog.text
    with pytest.raises(ImportError):
        loader.repository_driver('tape')


def test_every_option_says_what_a_change_does():
    for group, opts in loader.list_opts():
        for opt in opts:
            assert opt.help, f'[{group}] {opt.name}'


def test_opening_by_url_imports_no_oslo_and_no_other_driver(tmp_path):
    program = (
        'import sys\n'
        'from backupsvc.drivers import loader\n'
        f'loader.open_repository_url("file://{tmp_path}").put("a", [b"x"])\n'
        'heavy = ("oslo", "boto", "requests", "stevedore", "keystone", "asyncio", "tenacity")\n'
        'print([name for name in sys.modules if name.startswith(heavy)])\n')
    found = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                           check=True, timeout=60)
    assert found.stdout.strip() == '[]'
