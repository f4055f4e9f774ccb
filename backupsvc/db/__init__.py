# SPDX-License-Identifier: Apache-2.0
"""The database: tables, and functions of one transaction each; reached through ``objects``."""
