# SPDX-License-Identifier: Apache-2.0
"""Users of an instance and what they may use."""
