# SPDX-License-Identifier: Apache-2.0
"""Actions of instances."""
