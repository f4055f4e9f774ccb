# SPDX-License-Identifier: Apache-2.0
"""Options of the API: where it listens, whom it believes, what it serves and how much of it."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'api', title='API', help='The HTTP API: listener, authentication, dialects and limits.'
)

OPTS = [
    cfg.HostAddressOpt(
        'bind_host',
        default='127.0.0.1',
        help='Address that backupsvc-api listens on. A server behind uwsgi, gunicorn or '
        'mod_wsgi ignores it. Any address other than loopback is refused while '
        'auth_strategy is noauth, because everybody who reaches the port would be the '
        'administrator.',
    ),
    cfg.PortOpt(
        'port',
        default=8110,
        help='TCP port that backupsvc-api listens on; 0 picks a free one and logs it. Clients '
        'find the service by the endpoint in the catalog, so change both together.',
    ),
    cfg.IntOpt(
        'threads',
        default=16,
        min=1,
        max=1024,
        help='Requests that one backupsvc-api process works on at the same time. Each thread '
        'holds a database connection while it works: raise [database] max_pool_size with '
        'it. Forwarded downloads hold a thread for as long as they last.',
    ),
    cfg.IntOpt(
        'shutdown_timeout',
        default=30,
        min=0,
        help='Seconds that a stopping server waits for the requests it is working on. Later '
        'ones are cut off and their clients see a closed connection; nothing that was '
        'recorded is lost.',
    ),
    cfg.StrOpt(
        'auth_strategy',
        default='keystone',
        choices=[
            ('keystone', 'tokens are validated by Keystone (see [keystone_authtoken])'),
            ('noauth', 'everybody is believed; only on loopback addresses'),
        ],
        help='How callers are known. noauth believes what the X-Auth-Token header says '
        '(user:project or user:project:role,role; without roles, or without a token at '
        'all, the caller is an administrator), so the service refuses to listen on '
        'anything but loopback with it.',
    ),
    cfg.StrOpt(
        'paste_config',
        help='File that says which middlewares surround the application. Without it '
        'api-paste.ini is looked for in the configuration directories, then beside the '
        'installed package.',
    ),
    cfg.StrOpt(
        'application',
        default='public',
        help='Section of the paste file that is served: "public" is every enabled dialect behind '
        'authentication, "gateway" is the API gateway alone, which needs [gateway] '
        'block_storage_url and backup_url, and neither database nor message broker. A section of '
        'your own can be named as well; "database" is the Database API alone, and "management" '
        'is for operators, on the address and port of [management]. backupsvc-standalone always '
        'serves "public", and "database" and "management" on ports of their own.',
    ),
    cfg.ListOpt(
        'enabled_dialects',
        help='Names of the dialects to serve, as "backupsvc-manage openapi --list" prints '
        'them. Unset serves every installed one. A dialect that is left out answers 404 '
        'on all of its paths and is not listed at /.',
    ),
    cfg.URIOpt(
        'public_endpoint',
        schemes=['http', 'https'],
        help='Base URL put into every link instead of the one the request came in with: '
        'scheme, host and, behind a proxy that strips one, the path prefix. Set it when a '
        'proxy does not send X-Forwarded-* or Forwarded headers, or does and '
        '[oslo_middleware] enable_proxy_headers_parsing shall stay off.',
    ),
    cfg.IntOpt(
        'forward_connect_timeout',
        default=5,
        min=1,
        help='Seconds that a forwarded request waits for the service behind to take the '
        'connection; then the client gets 504. Longer ones keep more threads busy '
        'while that service is unreachable.',
    ),
    cfg.IntOpt(
        'forward_timeout',
        default=60,
        min=1,
        help='Seconds that a forwarded request waits for the whole head of the answer, '
        'and then for each next piece of its body; then the client gets 504, or a '
        'closed connection when its answer has begun.',
    ),
    cfg.IntOpt(
        'max_limit',
        default=1000,
        min=1,
        max=100000,
        help='Rows on one page of a list at most, and on every page whose request names no '
        'limit. A larger limit in a request is cut to it without an error. Raising it '
        'makes single requests heavier.',
    ),
    cfg.IntOpt(
        'max_metadata_items',
        default=128,
        min=1,
        help='Pairs of metadata that one backup may have; a request that would add more gets 413. '
        'Lowering it takes nothing away. Every page of a list carries the pairs of its '
        'backups, so raising it makes lists heavier.',
    ),
    cfg.BoolOpt(
        'validate_responses',
        default=False,
        help='Check every answer against the schema it is documented with, and answer 500 when '
        'it does not match or when an error has a status that its route does not declare. '
        'Costs up to a third of the throughput; meant for test runs and for staging.',
    ),
]
