# SPDX-License-Identifier: Apache-2.0
"""``backupsvc-manage openapi``, as it is typed."""

import json
import subprocess
import sys

import openapi_spec_validator
import pytest


@pytest.fixture(scope='module')
def typed(tmp_path_factory):
    """Return (status, standard output, standard error) of the verb with further arguments."""
    config = tmp_path_factory.mktemp('openapi') / 'backupsvc.conf'
    config.write_text('')

    def run(*arguments):
        ended = subprocess.run(
            [
                sys.executable,
                '-m',
                'backupsvc.cmd.manage',
                '--config-file',
                str(config),
                'openapi',
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def test_a_document_is_printed_and_nothing_else(typed):
    status, printed, _ = typed('cinder_v3', '--microversion', '3.43')
    assert status == 0
    document = json.loads(printed)
    assert document['info'] == {'title': 'Cinder v3', 'version': '3.43'}
    openapi_spec_validator.validate(document)


def test_dialects_are_listed(typed):
    status, printed, _ = typed('--list')
    assert status == 0
    assert 'cinder_v3 ' in printed


@pytest.mark.parametrize(
    ('arguments', 'status', 'text'),
    [
        (['cinder_v9'], 1, 'name one of: actuator_v1, backup_v1, cinder_v3'),
        (['cinder_v3', '--microversion', '3.99'], 1, 'cinder_v3 has 3.0 to 3.71'),
    ],
)
def test_what_there_is_not(typed, arguments, status, text):
    found, printed, complaint = typed(*arguments)
    assert (found, printed) == (status, '')
    assert text in complaint
