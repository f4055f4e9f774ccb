# SPDX-License-Identifier: Apache-2.0
"""Options of the cinder foreign driver, beside those of its keystone session."""

from oslo_config import cfg

GROUP = 'foreign_cinder'

OPTS = [
    cfg.StrOpt('posix_path', help='''
Directory under which cinder-backup's posix driver keeps its backups (its backup_posix_path), or
where the export of its NFS driver is mounted; reading it is enough. Not set, records of these
drivers cannot be imported.
'''),
    cfg.StrOpt('swift_account', default='project', choices=[
        ('project', 'the account of the project that the record names; as cinder-backup does with '
                    'backup_swift_auth = per_user'),
        ('service', 'the account of the user of this group; as cinder-backup does with '
                    'backup_swift_auth = single_user'),
    ], help='''
Whose Swift account holds the backups of cinder-backup's Swift driver. For "project" the user of
this group must be allowed to read every account, as Swift's reseller admins are. After a change,
backups imported before are looked for in the other account.
'''),
    cfg.StrOpt('reseller_prefix', default='AUTH_', help='''
Stands before the project id in the name of a project's account, as in the "reseller_prefix" of the
proxy. Read only with swift_account = project.
'''),
    cfg.StrOpt('interface', default='internal', choices=['public', 'internal', 'admin'], help='''
Which endpoint of the service catalog is used to reach Swift.
'''),
    cfg.StrOpt('region_name', help='''
Region of that endpoint. Not set, the first in the catalog is used.
'''),
]
