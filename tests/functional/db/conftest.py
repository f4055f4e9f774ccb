# SPDX-License-Identifier: Apache-2.0
"""Records and contexts that the database tests share."""

import pytest

from backupsvc import context as request_context
from tests.fixtures.database import _server_urls, any_database  # noqa: F401

PROJECT = '5e4d2f1b0a394c8e9d7f6a5b4c3d2e1f'
OTHER_PROJECT = '0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f'


@pytest.fixture
def context(any_database) -> request_context.RequestContext:  # noqa: F811
    """A member of PROJECT."""
    return request_context.RequestContext(
        user_id='user', project_id=PROJECT, roles=['member'], is_admin=False, overwrite=False)


@pytest.fixture
def stranger(any_database) -> request_context.RequestContext:  # noqa: F811
    """A member of OTHER_PROJECT."""
    return request_context.RequestContext(
        user_id='stranger', project_id=OTHER_PROJECT, roles=['member'], is_admin=False,
        overwrite=False)


@pytest.fixture
def admin(any_database) -> request_context.RequestContext:  # noqa: F811
    """The service itself."""
    return request_context.get_admin_context()
