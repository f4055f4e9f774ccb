# SPDX-License-Identifier: Apache-2.0
"""The cloud that the tests run against: the one of clouds.yaml that ``OS_CLOUD`` names."""

import os

import openstack
import pytest

from tests.fixtures import cloud as fixture


@pytest.fixture(scope='session')
def cloud():
    """A connection of the cloud's administrator, with the service's user installed."""
    if not os.environ.get('OS_CLOUD'):
        pytest.fail('OS_CLOUD names no cloud of clouds.yaml; see the page on testing')
    fixture.guide('keystone.rst', 'service-user')
    fixture.guide('keystone.rst', 'volume-roles')
    with openstack.connect() as connection:
        yield connection
