# SPDX-License-Identifier: Apache-2.0
"""One service with one instance for the tests of the Database API on real servers."""

import pytest

from tests.fixtures import database_service


@pytest.fixture(scope='session')
def databases():
    """The running service."""
    with database_service.running() as service:
        yield service


@pytest.fixture(scope='session')
def instance_id(databases):
    """An instance with a database and a user, that tests leave active."""
    made = databases.client().instances.create(
        'one', 1, {'size': 1}, databases=[{'name': 'sampledb'}, {'name': 'nextround'}],
        users=[{'name': 'demouser', 'password': 'demopassword',
                'databases': [{'name': 'sampledb'}]}])
    assert made.status == 'BUILD'
    assert databases.settled(made.id).status == 'ACTIVE'
    return made.id
