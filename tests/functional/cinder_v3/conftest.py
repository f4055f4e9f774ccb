# SPDX-License-Identifier: Apache-2.0
"""The application and its callers."""

import pytest

from tests.fixtures import service as service_fixture


@pytest.fixture
def member(service):
    """A member of the project."""
    return service.client()


@pytest.fixture
def reader(service):
    """A reader of the project."""
    return service.client(user='rita', roles='reader')


@pytest.fixture
def admin(service):
    """An administrator of the project."""
    return service.client(user='adam', roles='admin')


@pytest.fixture
def stranger(service):
    """A member of another project."""
    return service.client(user='sam', project=service_fixture.OTHER_PROJECT)


@pytest.fixture
def fault():
    """Return (status, name, message) of an error answer, whose shape is checked."""
    def read(answer):
        assert answer.content_type == 'application/json', answer
        [(name, body)] = answer.json.items()
        assert body['code'] == answer.status_int
        return answer.status_int, name, body['message']
    return read
