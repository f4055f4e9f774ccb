# SPDX-License-Identifier: Apache-2.0
"""Options of the API gateway: the services behind it."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'gateway',
    title='API gateway',
    help='Where the API gateway forwards to. Timeouts are [api] forward_connect_timeout and '
    'forward_timeout.',
)

OPTS = [
    cfg.URIOpt(
        'block_storage_url',
        schemes=['http', 'https'],
        help='Base URL of the Block Storage service with its version, '
        'http://cinder.example.com:8776/v3. A service that wants the project in its URLs '
        '(Cinder before microversion 3.67) gets it from %(project_id)s at the end, which needs a '
        'pipeline that authenticates. Unset, the volume service behind the volume driver is '
        'taken, or this service itself where it serves the volumes; a gateway that is deployed '
        'alone has neither and answers 501. Tokens of callers are sent there: name no host that '
        'may not see them.',
    ),
    cfg.URIOpt(
        'backup_url',
        schemes=['http', 'https'],
        help='Base URL of the Backup service with its version, '
        'http://backup.example.com:8110/v1. Unset, this service itself is taken; a gateway that '
        'is deployed alone answers 501. Tokens of callers are sent there.',
    ),
    cfg.StrOpt(
        'cafile',
        help='File of the certificates that the https URLs above are checked with. Unset, those '
        'of the system are taken. There is no way to switch the check off.',
    ),
]
