# SPDX-License-Identifier: Apache-2.0
"""The database is lost, and ``backupsvc-manage recover`` brings the backups back."""

from backupsvc import states
from backupsvc.cmd import manage
from backupsvc.db import engine, migration
from tests.fixtures import deployment
from tests.functional.flows.conftest import MIB, noise, same_bytes


def test_backups_come_back_without_a_database(rig, tmp_path, capsys):
    source = rig.volume((0, noise(1, MIB)), name='disk')
    first = rig.backed_up(source.id, name='first')
    rig.write(source.id, (MIB, noise(2, MIB)))
    second = rig.backed_up(source.id, name='second')
    rig.stop()
    engine.reset()
    for path in tmp_path.glob('backupsvc.sqlite*'):
        path.unlink()
    migration.sync()
    rig.start()
    arguments = ['recover', '--config-file', rig.conf.config_file[0], deployment.PROJECT]
    assert manage.main([*arguments, '--dry-run']) == 0
    assert '2 without a record' in capsys.readouterr().out
    assert manage.main(arguments) == 0
    assert '2 recovered, 0 had one' in capsys.readouterr().out
    for old in (first, second):
        backup = rig.settled(old.id)
        assert (backup.status, backup.fail_reason) == (states.AVAILABLE, None)
        assert (backup.name, backup.project_id, backup.source_id, backup.data_timestamp) == (
            old.name, old.project_id, old.source_id, old.data_timestamp)
    assert manage.main(arguments) == 0
    assert '0 recovered, 2 had one' in capsys.readouterr().out
    assert same_bytes(rig.path(source.id), rig.path(rig.restore(second.id).id))


def test_a_container_that_is_not_there(rig, capsys):
    arguments = ['recover', '--config-file', rig.conf.config_file[0], deployment.PROJECT,
                 '--container', 'none-such']
    assert manage.main(arguments) == 1
    assert 'none-such' in capsys.readouterr().err
