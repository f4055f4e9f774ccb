# SPDX-License-Identifier: Apache-2.0
"""Resource ``backups``: checkpoints, as the dialect calls them."""
