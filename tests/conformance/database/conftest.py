# SPDX-License-Identifier: Apache-2.0
"""Servers of each database driver, so that one suite says what every driver has to do."""

import uuid

import pytest

from backupsvc.drivers import loader
from tests.fixtures import mariadb_servers

#: How to deploy each installed driver for the suite.
DEPLOYMENTS = {'mariadb': mariadb_servers.deployed}


def pytest_collection_modifyitems(items):
    for item in items:
        if '/conformance/database/' in str(item.path):
            item.add_marker(pytest.mark.services)


@pytest.fixture(scope='module', params=loader.list_drivers('database'))
def servers(request):
    """Each installed driver in turn."""
    if request.param not in DEPLOYMENTS:
        pytest.fail(f'the database driver {request.param} is installed and not deployed here')
    with DEPLOYMENTS[request.param]() as deployed:
        yield deployed


@pytest.fixture(scope='module')
def driver(servers):
    return servers.driver


@pytest.fixture(scope='module')
def server(servers):
    """The id of a server that the tests of a module share; they leave it running."""
    return servers.make()


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f'n{uuid.uuid4().hex[:12]}'
