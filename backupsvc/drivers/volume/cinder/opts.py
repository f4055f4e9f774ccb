# SPDX-License-Identifier: Apache-2.0
"""Options of the cinder volume driver, beside those of its keystone session."""

from oslo_config import cfg

GROUP = 'volume_cinder'

OPTS = [
    cfg.URIOpt('endpoint', schemes=['http', 'https'], help='''
URL of Cinder's API up to and with "/v3", for instance http://controller:8776/v3. Not set, the
endpoint is looked up in the service catalog; where the catalog names this service in Cinder's
place it must be set, or requests would be forwarded to this service for ever.
'''),
    cfg.StrOpt('service_type', default='block-storage', help='''
Type of the endpoint in the service catalog. Read only where "endpoint" is not set.
'''),
    cfg.StrOpt('interface', default='internal', choices=['public', 'internal', 'admin'], help='''
Which endpoint of the service catalog is used.
'''),
    cfg.StrOpt('region_name', help='''
Region of the endpoint. Not set, the first in the catalog is used.
'''),
    cfg.FloatOpt('request_timeout', default=60.0, min=1, help='''
Seconds to wait for an answer of Cinder before a request counts as failed. Connecting a volume
waits for the storage behind Cinder: a value below what that needs makes backups fail.
'''),
    cfg.IntOpt('operation_timeout', default=300, min=1, help='''
Seconds to wait for a temporary snapshot or volume to be made or removed. What is not made by then
fails the backup; what is not removed is left to the sweep of holds.
'''),
    cfg.StrOpt('snapshot_access', default='auto', choices=[
        ('auto', 'directly where the storage is RBD and the volume is attached, else a volume'),
        ('volume', 'always through a temporary volume made from the snapshot'),
    ], help='''
How a snapshot is read. A temporary volume works with every storage; reading an RBD snapshot
directly saves making and removing it.
'''),
    cfg.StrOpt('deployment', default='backupsvc', max_length=255, help='''
Mark of the temporary and kept snapshots and volumes of this deployment. Two deployments, each with
its own database, that share a cloud need different values, or each would remove what the other one
is using. After a change, what exists under the old value has to be removed by hand.
'''),
    cfg.BoolOpt('keep_snapshots', default=False, help='''
Keep the snapshot that a backup was read from, so that the next incremental one asks the storage
(RBD) which blocks have changed since and reads no others. The snapshots belong to the project of
the service user. They take up the space of what is overwritten, and Cinder refuses to delete a
volume, except with its snapshots, while there is one. Off, an incremental backup reads the whole
volume, and snapshots kept before are removed.
'''),
    cfg.IntOpt('kept_snapshot_days', default=32, min=1, help='''
Days after which a kept snapshot is removed; the next incremental backup of its volume reads all.
'''),
]
