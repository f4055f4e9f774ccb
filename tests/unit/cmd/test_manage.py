# SPDX-License-Identifier: Apache-2.0
"""How ``backupsvc-manage`` finds verbs and configuration."""

import logging
import subprocess
import sys

import pytest

from backupsvc import cmd, version
from backupsvc.cmd import manage


def run(*arguments):
    return manage.main(list(arguments))


def test_version(capsys):
    assert run('--version') == 0
    assert capsys.readouterr().out.strip() == version.version_string()


def test_no_verb_shows_what_there_is(capsys):
    assert run() == 2
    shown = capsys.readouterr().err
    assert [verb for verb in manage.VERBS if f'    {verb} ' not in shown] == []


def test_unknown_verb_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        run('frobnicate')
    assert stop.value.code == 2
    assert 'frobnicate' in capsys.readouterr().err


def test_a_value_of_an_option_is_not_taken_for_the_verb(tmp_path):
    """``volume`` is the name of a directory here."""
    directory = tmp_path / 'volume'
    with pytest.raises(cmd.NotAStateDirectory) as stop:
        run('--state-dir', str(directory), 'task', 'list')
    assert str(directory) in str(stop.value)


def modules_after(*arguments):
    """Return the modules that a process has loaded when it has carried out a verb."""
    code = ('import sys\nfrom backupsvc.cmd import manage\n'
            'try: manage.main(sys.argv[1:])\nexcept SystemExit: pass\n'
            'print(*sorted(sys.modules), file=sys.stderr)')
    done = subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    return set(done.stderr.splitlines()[-1].split())


def test_repository_verbs_load_no_configuration_library(tmp_path):
    loaded = modules_after('repository', 'list', '--repository', f'file://{tmp_path}/none',
                           '--key-file', f'{tmp_path}/key')
    assert 'backupsvc.cmd.repository' in loaded
    assert not {name for name in loaded if name.startswith(('oslo', 'sqlalchemy', 'stevedore'))}


def test_one_verb_loads_only_its_own_module():
    loaded = modules_after('db', '--help')
    verbs = {f'backupsvc.cmd.{module}' for module in manage.VERBS.values()}
    assert loaded & verbs == {'backupsvc.cmd.database'}


@pytest.fixture
def state_dir(tmp_path):
    """A state directory with a configuration of its own."""
    (tmp_path / cmd.STATE_CONFIG).write_text(
        f'[DEFAULT]\nstate_path = {tmp_path}\nhost = of-the-file\n')
    return tmp_path


@pytest.fixture(autouse=True)
def _logging():
    """Leave the handlers of the root logger as they were: configurations replace them."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_state_dir_is_the_configuration(state_dir):
    conf = cmd.load_config([], 'test', state_dir=str(state_dir))
    assert conf.host == 'of-the-file'
    assert conf.database.connection == f'sqlite:///{state_dir}/backupsvc.sqlite'
    assert conf.config_file == [str(state_dir / cmd.STATE_CONFIG)]


def test_options_of_drivers_are_known(state_dir):
    with open(state_dir / cmd.STATE_CONFIG, 'a') as file:
        file.write('[repository_posix]\npath = /elsewhere\n')
    conf = cmd.load_config([], 'test', state_dir=str(state_dir))
    assert conf.repository_posix.path == '/elsewhere'


def test_logs_do_not_mix_with_what_a_verb_prints(state_dir, capfd):
    parsed = manage._parser().parse_args(['--state-dir', str(state_dir)])
    cmd.config_of(parsed)
    logging.getLogger('backupsvc').warning('be careful')
    logging.getLogger('backupsvc').info('by the way')
    printed = capfd.readouterr()
    assert printed.out == ''
    assert 'be careful' in printed.err
    assert 'by the way' not in printed.err


def test_debug_shows_everything(state_dir, capfd):
    parsed = manage._parser().parse_args(['--state-dir', str(state_dir), '--debug'])
    cmd.config_of(parsed)
    logging.getLogger('backupsvc').debug('in detail')
    assert 'in detail' in capfd.readouterr().err
