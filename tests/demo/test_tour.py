# SPDX-License-Identifier: Apache-2.0
"""What the tour relies on to notice that something is wrong."""

import shutil
import socket

import pytest

from tests.demo import tour


@pytest.fixture
def volumes(tmp_path):
    """Two equal sparse files of 4 MiB with data in the third MiB."""
    paths = [tmp_path / 'left', tmp_path / 'right']
    for path in paths:
        with open(path, 'wb') as file:
            file.truncate(4 * tour.MIB)
            file.seek(2 * tour.MIB + 100)
            file.write(b'data')
    return paths


def test_compare_takes_equal_files(volumes):
    assert tour.compare(*volumes) == 4 * tour.MIB


@pytest.mark.parametrize('position', [0, 2 * tour.MIB + 101, 4 * tour.MIB - 1])
@pytest.mark.parametrize('side', [0, 1])
def test_compare_finds_a_difference(volumes, side, position):
    with open(volumes[side], 'r+b') as file:
        file.seek(position)
        file.write(b'x')
    with pytest.raises(tour.TourFailed, match='differ'):
        tour.compare(*volumes)


def test_compare_takes_a_hole_for_zeros(volumes):
    with open(volumes[0], 'r+b') as file:
        file.write(bytes(tour.MIB))
    assert tour.compare(*volumes) == 4 * tour.MIB


def test_compare_finds_a_missing_end(volumes):
    with open(volumes[1], 'r+b') as file:
        file.truncate(3 * tour.MIB)
    with pytest.raises(tour.TourFailed, match='bytes'):
        tour.compare(*volumes)


def test_check_files_refuses_a_volume_without_a_file_system(volumes):
    with pytest.raises(tour.TourFailed, match='e2fsck'):
        tour.check_files(str(volumes[0]))


def test_missing_program_ends_the_tour_with_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(shutil, 'which', lambda *args, **kwargs: None)
    assert tour.main(['--once']) == 1
    assert 'apt install e2fsprogs' in capsys.readouterr().out


def test_a_port_in_use_is_left_alone(capsys):
    with socket.socket() as holder:
        holder.bind(('127.0.0.1', 0))
        holder.listen()
        taken = holder.getsockname()[1]
        assert tour.free_port(taken) == 0
    assert str(taken) in capsys.readouterr().out


def test_service_that_does_not_start_fails_the_tour(tmp_path, capsys):
    (tmp_path / 'backupsvc.conf').write_text('[api]\nthreads = many\n')
    assert tour.main(['--once', '--state-dir', str(tmp_path), '--port', '0']) == 1
    assert 'did not start' in capsys.readouterr().out
