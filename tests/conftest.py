# SPDX-License-Identifier: Apache-2.0
"""What holds for every test, and for every process that a test starts."""

import logging
import os

import pytest

from tests.fixtures import reaper

# Read by oslo.config as [api] validate_responses: every answer of the API is checked against the
# schema and the statuses that its route declares, and a mismatch is a 500.
os.environ['OS_API__VALIDATE_RESPONSES'] = 'true'

# Threads of libraries that ask an unreachable broker again and again outlive their test. What they
# log meets a stream that pytest has closed, and would be complained of on the standard error of
# another test.
logging.raiseExceptions = False


def pytest_collection_modifyitems(items):
    """Begin with the campaigns: begun last, they would keep one process busy and the rest idle."""
    items.sort(key=lambda item: item.get_closest_marker('campaign') is None)


@pytest.fixture(scope='session', autouse=True)
def no_instance_is_left():
    with reaper.reaping():
        yield
