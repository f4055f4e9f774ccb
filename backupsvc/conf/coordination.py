# SPDX-License-Identifier: Apache-2.0
"""Options of the locks that managers share."""

from oslo_config import cfg

GROUP = cfg.OptGroup('coordination', title='Coordination', help='Locks between managers.')

OPTS = [
    cfg.StrOpt(
        'backend_url',
        default='file://$state_path/locks', secret=True,
        help='URL of the tooz back end that keeps locks: file:///path for one machine; '
             'etcd3+http://…, redis://… or mysql://… where several managers write to the same '
             'repositories.'),
]
