# SPDX-License-Identifier: Apache-2.0
"""Schemas of merged answers: requests are the volume service's to judge, and so are answers."""

#: Whatever the volume service takes or answers.
ANYTHING: dict = {}
