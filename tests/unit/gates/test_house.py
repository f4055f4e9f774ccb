# SPDX-License-Identifier: Apache-2.0
"""Rules of HACKING.rst that are about the code as it is loaded."""

import configparser
import importlib.metadata
import inspect
import subprocess
import sys

import pytest

from backupsvc import conf
from backupsvc.cmd import manage
from backupsvc.conf import opts
from backupsvc.drivers import loader
from backupsvc.manager import manager
from backupsvc.rpc.manager import ManagerAPI
from tests.unit.gates import source


def registered():
    """Return {group: {name: value}} of the entry points in setup.cfg."""
    setup = configparser.ConfigParser(delimiters=('=',))
    setup.read(source.ROOT / 'setup.cfg')
    return {group: dict(line.split(' = ') for line in lines.strip().splitlines())
            for group, lines in setup['options.entry_points'].items()}


POINTS = [pytest.param(importlib.metadata.EntryPoint(name, value, group), id=f'{group} {name}')
          for group, points in registered().items() for name, value in points.items()]


@pytest.mark.parametrize('point', POINTS)
def test_b308_entry_point_loads(point):
    assert point.load() is not None


def test_entry_points_are_those_that_are_installed():
    installed = {(point.group, point.name, point.value)
                 for point in importlib.metadata.distribution('backupsvc').entry_points}
    wanted = {(group, name, value)
              for group, points in registered().items() for name, value in points.items()}
    assert installed == wanted, 'install the package again: pip install -e .'


def all_options():
    for group, options in [*opts.list_opts(), *loader.list_opts()]:
        for option in options:
            yield getattr(group, 'name', group), option


def test_b307_every_option_has_help():
    found = [(group, option.name) for group, option in all_options()
             if not (option.help or '').strip()]
    assert len(list(all_options())) > 40
    assert found == []


def test_every_group_of_options_is_registered_once():
    names = [group.name for group, _ in conf.groups()]
    assert len(names) == len(set(names))
    assert {'api', 'database', 'manager', 'quota', 'repository', 'volume'} <= set(names)


def public(owner):
    return {name: member for name, member in inspect.getmembers(owner, inspect.isfunction)
            if not name.startswith('_')}


def test_b309_every_message_has_a_method_of_the_manager():
    client, endpoint = public(ManagerAPI), public(manager.ManagerEndpoint)
    assert client
    assert {name: inspect.signature(method) for name, method in client.items()} == {
        name: inspect.signature(method) for name, method in endpoint.items() if name in client}


@pytest.mark.parametrize('verb', manage.VERBS)
def test_every_verb_shows_its_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        manage.main([verb, '--help'])
    assert stop.value.code == 0
    assert f'backupsvc-manage {verb}' in ' '.join(capsys.readouterr().out.split())


LOAD_ALL = """
import importlib, pkgutil, sys
import backupsvc
from backupsvc import cmd
cmd.load_config([], 'gate')
for info in pkgutil.walk_packages(backupsvc.__path__, 'backupsvc.'):
    importlib.import_module(info.name)
print(sorted(name for name in sys.modules if name.startswith('oslo_service.backend._')))
"""


def test_b302_no_process_loads_the_eventlet_backend():
    done = subprocess.run([sys.executable, '-c', LOAD_ALL], capture_output=True, text=True,
                          check=True, cwd='/')
    assert 'oslo_service.backend._threading' in done.stdout
    assert '_eventlet' not in done.stdout
