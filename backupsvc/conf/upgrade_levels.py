# SPDX-License-Identifier: Apache-2.0
"""Options of a rolling upgrade: what processes of this release may send to older ones."""

from oslo_config import cfg

GROUP = cfg.OptGroup('upgrade_levels', title='Upgrade levels',
                     help='Versions of what is sent while two releases run side by side.')

OPTS = [
    cfg.StrOpt('manager', default='auto', regex=r'auto|\d+\.\d+', help='''
The version of messages that every manager understands, for instance 1.1. What newer versions have
added is not sent, and requests that cannot do without are answered with 503. "auto" takes the
lowest version of the live managers, which is right unless one is down that will come back as it
was.
'''),
]
