# SPDX-License-Identifier: Apache-2.0
"""Which texts are ids."""

import pytest

from backupsvc.wsgi import parameter_types

UUID = '6f519a48-3183-46cf-a32f-000000000001'


@pytest.mark.parametrize('text', [UUID, UUID.upper(), UUID.replace('-', '')])
def test_is_an_id(text):
    assert parameter_types.is_id(text)


@pytest.mark.parametrize(
    'text',
    [
        '', '.', '..', 'x', '1', 'ä' * 36, '٣' * 32, 'a' * 10240, f'{UUID}\n', f' {UUID}',
        f'{UUID}/..', f'{{{UUID}}}', f'urn:uuid:{UUID}', UUID.replace('-', '', 1),
        UUID.replace('-', '/'), UUID[:-1], f'{UUID}0', f'{UUID}%00',
    ],
)
def test_is_no_id(text):
    assert not parameter_types.is_id(text)
