# SPDX-License-Identifier: Apache-2.0
"""Options of the mariadb database driver."""

from oslo_config import cfg

GROUP = 'database_mariadb'

OPTS = [
    cfg.StrOpt(
        'directory',
        default='$state_path/databases',
        help='Directory of the servers: what is known of each, and its data where they do not lie '
        'on a volume. Made at first use. With data in it and a manager that runs as root, the '
        'directory and those above must be open to other users (mode 0711), for the servers run '
        'as users of their own. Do not change it while there are servers: they would not be '
        'found.',
    ),
    cfg.StrOpt(
        'runtime_directory',
        help='Directory of sockets, mounts and the configuration of running servers; may be '
        'emptied by a restart of the host, never before. The path of a socket has at most 107 '
        'bytes, so keep it short. Default: /run/backupsvc/databases for root, backupsvc-databases '
        'in $XDG_RUNTIME_DIR or else in /var/tmp (with the user id) for others. Do not change it '
        'while servers run.',
    ),
    cfg.StrOpt(
        'volumes',
        default='auto',
        choices=[
            ('auto', 'where this process is root and may mount file systems'),
            ('always', 'a host where that cannot be done makes no servers'),
            ('never', 'a plain directory'),
        ],
        help='Whether the data of a new server lie on a volume of the volume driver, with a file '
        'system of its own, so that the size of the volume limits them. In a plain directory what '
        'is used is measured, and only the file system below limits it. Servers that exist keep '
        'what they have.',
    ),
    cfg.StrOpt(
        'bind_address',
        default='127.0.0.1',
        help='Address that the servers listen on. Set it to an address that clients reach; '
        '0.0.0.0 is all. A change counts for each server from its next start.',
    ),
    cfg.StrOpt(
        'hostname',
        help='Name or address that clients are told to connect to; by default the bind address. '
        'Needed when that is 0.0.0.0 or an address behind a translation.',
    ),
    cfg.StrOpt(
        'port_range',
        default='13306-14305',
        regex=r'\d{1,5}-\d{1,5}',
        help='First and last port for servers; each takes a free one and keeps it. The width is '
        'the number of servers that this host can hold. Servers that exist keep theirs after a '
        'change.',
    ),
    cfg.StrOpt(
        'connection_filter',
        default='auto',
        choices=[
            ('auto', 'nftables where this process may use it, else haproxy'),
            ('nftables', 'the kernel filters; needs root and the package nftables'),
            ('haproxy', 'a proxy before each server; needs the package haproxy'),
            ('none', 'rules other than "from everywhere" are refused'),
        ],
        help='How the rules of a security group are enforced for new servers. Servers that exist '
        'keep what they have.',
    ),
    cfg.IntOpt(
        'first_uid',
        default=70000,
        min=1000,
        help='Where the manager runs as root, each server runs as a user id of its own, this one '
        'or the next free; keep 10000 of them out of other use. They need no names. Servers '
        'that exist keep theirs after a change. Ignored for other users: their servers run as '
        'they do.',
    ),
    cfg.ListOpt(
        'flavors',
        default=['1:m1.tiny:512', '2:m1.small:1024', '3:m1.medium:2048', '4:m1.large:4096'],
        help='Flavors on offer, each as id:name:MiB of memory[:virtual CPUs]. The memory limits '
        'the server: about three quarters of what it does not need for itself become its buffer '
        'pool. 256 MiB is the least. The CPUs are only shown. Set the same for API and manager '
        'processes. A server keeps the size it was made with until it is resized.',
    ),
    cfg.StrOpt(
        'version',
        default='10.11',
        help='The version that is shown of the datastore "mariadb". Set it to that of the '
        'installed package; nothing else depends on it.',
    ),
    cfg.StrOpt(
        'cgroup',
        help='Directory of a cgroup (version 2), with the memory controller for its children, '
        'where each server gets a child that limits its memory. By default the parent of the '
        "manager's own, where this process may write to it. Where there is none, the data "
        'segment of a server is limited instead (RLIMIT_DATA), which does not count the memory '
        'of the page cache and of shared mappings.',
    ),
    cfg.IntOpt(
        'start_timeout',
        default=300,
        min=10,
        help='Seconds for a server to answer after it was started; then it is stopped again, and '
        'the operation fails. Recovery after a crash of a busy server takes long: raise it for '
        'large ones.',
    ),
    cfg.IntOpt(
        'stop_timeout',
        default=120,
        min=1,
        help='Seconds for a server to end in order; then it is killed, and recovers at its next '
        'start.',
    ),
    cfg.IntOpt(
        'compression_level',
        default=1,
        min=1,
        max=3,
        help='Level of compression of dumps, as the ISA-L library knows them. Higher levels cost '
        'up to twice the processor time and make most dumps a little smaller.',
    ),
    cfg.IntOpt(
        'compression_threads',
        default=0,
        min=0,
        help='Threads that compress a dump; 0 takes one for each processor. Each holds about '
        '3 MiB.',
    ),
]
