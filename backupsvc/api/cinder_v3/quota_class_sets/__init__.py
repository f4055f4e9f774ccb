# SPDX-License-Identifier: Apache-2.0
"""Default quotas by class."""
