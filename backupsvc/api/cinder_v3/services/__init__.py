# SPDX-License-Identifier: Apache-2.0
"""The managers, as services."""
