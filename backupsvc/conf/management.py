# SPDX-License-Identifier: Apache-2.0
"""Options of the management application: where operators reach it, and who they are."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'management',
    title='Management application',
    help='Coordinated checkpoints, health and metrics, for operators, on a port and a network of '
    'theirs.',
)

OPTS = [
    cfg.HostAddressOpt(
        'bind_host',
        default='127.0.0.1',
        help='Address that backupsvc-api listens on for the management application. A server '
        'behind uwsgi, gunicorn or mod_wsgi ignores it. Any address other than loopback is '
        'refused until token, or username and password, are set.',
    ),
    cfg.PortOpt(
        'port',
        default=9600,
        help='TCP port of the management application of backupsvc-api; 0 picks a free one and '
        'logs it. Scripts and scrapers know the number, so change it there too.',
    ),
    cfg.IntOpt(
        'threads',
        default=4,
        min=1,
        max=1024,
        help='Requests that the management application of one backupsvc-api process works on at '
        'the same time.',
    ),
    cfg.BoolOpt(
        'beside_api',
        default=False,
        help='Have backupsvc-api serve the management application beside the public one, on the '
        'address and port above. The metrics then count the requests of this very process. Leave '
        'it off for further API processes of one host, or give each a port of its own.',
    ),
    cfg.StrOpt(
        'token',
        secret=True,
        help='Bearer token that requests to the management application must carry in '
        '"Authorization: Bearer". Changing it locks out whoever has the old one, at the next '
        'start. It may be set together with username and password; then either is enough.',
    ),
    cfg.StrOpt(
        'username',
        help='Name for HTTP basic authentication at the management application; needs password.',
    ),
    cfg.StrOpt(
        'password',
        secret=True,
        help='Password for HTTP basic authentication at the management application. Both travel '
        'in clear text: put a proxy that ends TLS in front where others can listen.',
    ),
    cfg.ListOpt(
        'checks',
        default=['database', 'messageBus', 'managers', 'repository'],
        item_type=cfg.types.String(choices=['database', 'messageBus', 'managers', 'repository']),
        help='What /actuator/health looks at, from the process that is asked. Leave out what '
        'this host cannot reach and need not: the repository, where it is a directory that only '
        'the managers mount.',
    ),
    cfg.FloatOpt(
        'check_timeout',
        default=5.0,
        min=0.1,
        help='Seconds that each check of /actuator/health may take; one that takes longer counts '
        'as down. Probes should wait longer than this.',
    ),
]
