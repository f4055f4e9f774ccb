# SPDX-License-Identifier: Apache-2.0
"""What users read of an error, and which errors are worth another attempt."""

import pytest

from backupsvc import exception
from backupsvc.engine import errors
from backupsvc.manager import failures


@pytest.mark.parametrize(('error', 'is_transient'), [
    (errors.StoreTransient('503 Slow Down'), True),
    (errors.RepositoryLocked('a prune runs'), True),
    (exception.DriverFailed(reason='no route to the volume service'), True),
    (failures.MoverDied('SIGKILL'), True),
    (errors.StoreFull('no room'), False),
    (errors.StoreDenied('403'), False),
    (errors.Corrupt('object packs/1 is damaged', 'packs/1'), False),
    (errors.WrongKey('the key does not open it'), False),
    (exception.VolumeNotFound(volume_id='v'), False),
    (failures.TooManyAttempts(5), False),
])
def test_text_is_the_error_s_own(error, is_transient):
    failure = failures.describe(error)
    assert failure.message == str(error)
    assert failure.is_transient == is_transient


def test_text_of_a_defect_is_not_shown():
    failure = failures.describe(ValueError('postgresql://user:password@host'))
    assert failure.message == 'An unexpected error occurred (ValueError).'
    assert not failure.is_transient


def test_failure_of_a_mover_passes_through():
    failure = failures.Failure('StoreFull', 'no room', False)
    assert failures.describe(failures.MoverFailed(failure)) == failure


def test_reason_fits_the_record():
    reason = failures.describe(errors.StoreFull('x' * 1000)).reason
    assert len(reason) == 255
    assert reason.endswith('…')
