# SPDX-License-Identifier: Apache-2.0
"""The application that the tests of dialects share, built once in each process."""

import pytest

from tests.fixtures import service as service_fixture


@pytest.fixture(scope='session')
def _stage(tmp_path_factory):
    return service_fixture.Stage(tmp_path_factory.mktemp('service'))


@pytest.fixture
def idle(_stage):
    """The application, with no manager."""
    with _stage.cleared() as running:
        yield running


@pytest.fixture
def service(idle):
    """The application, with a manager that seems alive and does nothing."""
    idle.heartbeat()
    return idle
