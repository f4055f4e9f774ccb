# SPDX-License-Identifier: Apache-2.0
"""Options of the swift repository driver, beside those of its keystone session."""

from oslo_config import cfg

GROUP = 'repository_swift'

OPTS = [
    cfg.StrOpt('account', default='service', choices=[
        ('service', 'all repositories in the account that the user of this group has'),
        ('tenant', 'each repository in the account of the project whose backups it holds'),
    ], help='''
Whose Swift account holds the repositories. "tenant" charges each project for its backups and lets
it see and delete the objects; "tenant_access" says by what right this service writes them. After a
change, backups made before are no longer found: copy the containers first.
'''),
    cfg.StrOpt('tenant_access', default='role', choices=[
        ('role', 'a role of the user of this group, which lets it write every account'),
        ('trust', 'a trust that each user gives with the request, for the time of the work'),
    ], help='''
By what right projects' accounts are written with account = tenant. With "role" the user of this
group must hold what the proxy of Swift calls "reseller_admin_role". With "trust" it needs no such
role: each request that leads to work makes a trust in Keystone, which costs one more request to
Keystone and is given back when the work has ended. Work that no user asked for (the periodic
verify, commands of the operator) still needs the role. The user of this group must then be of this
deployment alone: every trust given to it that no work of this deployment needs is removed.
'''),
    cfg.ListOpt('trust_roles', default=['member'], help='''
Roles in the project that a trust hands over; they must be among the "operator_roles" of the proxy.
A user who lacks one of them is refused with 403. Read only with tenant_access = trust.
'''),
    cfg.StrOpt('container_prefix', default='backupsvc', help='''
First part of the name of every container in the service's account; project and container of
the backup follow. Two deployments that share an account need different values. After a change,
backups made before are no longer found.
'''),
    cfg.StrOpt('reseller_prefix', default='AUTH_', help='''
Stands before the project id in the name of a project's account, as in the "reseller_prefix" of the
proxy. Read only with account = tenant.
'''),
    cfg.URIOpt('storage_url', schemes=['http', 'https'], help='''
Storage URL of the service's own account, for instance https://swift.example.org/v1/AUTH_0123. Not
set, the object-store endpoint of the service catalog is used.
'''),
    cfg.StrOpt('interface', default='internal', choices=['public', 'internal', 'admin'], help='''
Which endpoint of the service catalog is used.
'''),
    cfg.StrOpt('region_name', help='''
Region of the endpoint. Not set, the first in the catalog is used. After a change, backups made
before are looked for in the new region.
'''),
    cfg.IntOpt('segment_size', default=1 << 30, min=1 << 20, max=5 << 30, help='''
Bytes above which an object is stored as a static large object in segments of this size. The packs
of the engine are far below the default, so segments appear only where this is set below a pack's
size. Objects stored before a change stay as they are.
'''),
    cfg.FloatOpt('connect_timeout', default=10.0, min=0.1, help='''
Seconds to wait for a connection before an attempt counts as failed and is repeated.
'''),
    cfg.FloatOpt('read_timeout', default=60.0, min=0.1, help='''
Seconds to wait for the next bytes of an answer before an attempt counts as failed and is repeated.
A value below what the cluster needs to store one pack makes every backup fail.
'''),
    cfg.IntOpt('connections', default=16, min=1, help='''
Idle connections that each process keeps open. Fewer than the threads of a backup or restore makes
each request open a new one.
'''),
]
