# SPDX-License-Identifier: Apache-2.0
"""Options of the nova instance driver, beside those of its keystone session."""

from oslo_config import cfg

GROUP = 'instance_nova'

OPTS = [
    cfg.URIOpt('endpoint', schemes=['http', 'https'], help='''
URL of Nova's API up to and with "/v2.1". Not set, the endpoint is looked up in the service
catalog.
'''),
    cfg.StrOpt('interface', default='internal', choices=['public', 'internal', 'admin'], help='''
Which endpoint of the service catalog is used.
'''),
    cfg.StrOpt('region_name', help='''
Region of the endpoint. Not set, the first in the catalog is used.
'''),
    cfg.FloatOpt('request_timeout', default=60.0, min=1, help='''
Seconds to wait for an answer of Nova before a request counts as failed.
'''),
    cfg.BoolOpt('lock_servers', default=True, help='''
Lock a server in Nova while the snapshots of its volumes are taken, so that its owner can neither
start or stop it nor attach or detach volumes meanwhile. Off, such a change fails the backup
afterwards.
'''),
]
