# SPDX-License-Identifier: Apache-2.0
"""Resource ``/volume/{volume_id}/action``: the rollback; other actions are forwarded."""
