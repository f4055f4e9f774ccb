# SPDX-License-Identifier: Apache-2.0
"""Resource ``metadata`` of a backup."""
