# SPDX-License-Identifier: Apache-2.0
"""Options of user messages."""

from oslo_config import cfg

GROUP = cfg.OptGroup('messages', title='User messages')

OPTS = [
    cfg.IntOpt(
        'ttl', default=30 * 24 * 3600, min=60,
        help='Seconds that a message is shown to the users of its project. A change counts for '
             'messages written from then on.'),
]
