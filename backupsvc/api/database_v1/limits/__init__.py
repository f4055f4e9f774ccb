# SPDX-License-Identifier: Apache-2.0
"""Limits of the own project."""
