# SPDX-License-Identifier: Apache-2.0
"""Resource ``action`` of a backup."""
