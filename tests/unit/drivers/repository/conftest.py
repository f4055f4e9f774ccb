# SPDX-License-Identifier: Apache-2.0
"""Real servers for the tests of the drivers' error handling."""

from tests.fixtures.object_stores import moto_server, swift_server  # noqa: F401
