# SPDX-License-Identifier: Apache-2.0
"""A database and a configuration for what the manager does without moving bytes."""

import pytest

from tests.fixtures import deployment


@pytest.fixture
def conf(tmp_path):
    with deployment.deployed(deployment.write_config(tmp_path)) as conf:
        yield conf
