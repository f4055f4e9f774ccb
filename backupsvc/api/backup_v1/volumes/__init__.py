# SPDX-License-Identifier: Apache-2.0
"""Resource ``/volume``: what the volume service does, and what it leaves to backups."""
