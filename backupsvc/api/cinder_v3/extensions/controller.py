# SPDX-License-Identifier: Apache-2.0
"""Extensions: what Cinder listed before microversions, for clients that still ask."""

from backupsvc.api.cinder_v3 import shapes
from backupsvc.api.cinder_v3.extensions import schemas
from backupsvc.wsgi import validation

#: Alias → (name, description) of those extensions of Cinder whose routes are here.
EXTENSIONS = {
    'backups': ('Backups', 'Backups support.'),
    'os-admin-actions': ('AdminActions', 'Enable admin actions.'),
    'os-availability-zone': ('AvailabilityZones', 'Describe availability zones.'),
    'os-extended-snapshot-attributes': (
        'ExtendedSnapshotAttributes', 'Extended snapshot attributes support.'),
    'os-quota-class-sets': ('QuotaClasses', 'Quota classes management support.'),
    'os-quota-sets': ('Quotas', 'Quota management support.'),
    'os-services': ('Services', 'Services support.'),
    'os-snapshot-actions': ('SnapshotActions', 'Enable snapshot manager to update status.'),
    'os-used-limits': ('UsedLimits', 'Provide data on limited resources that are being used.'),
    'os-vol-host-attr': ('VolumeHostAttribute', 'Expose host as an attribute of a volume.'),
    'os-vol-image-meta': ('VolumeImageMetadata', 'Show image metadata of a volume.'),
    'os-vol-tenant-attr': (
        'VolumeTenantAttribute', 'Expose the internal project_id as an attribute of a volume.'),
    'os-volume-actions': ('VolumeActions', 'Enable volume actions.'),
}
_UPDATED = '2026-01-01T00:00:00+00:00'


@validation.query(shapes.ANY_QUERY)
@validation.response(schemas.LIST)
def list_extensions(req):
    """List extensions; 200."""
    return {
        'extensions': [
            {'name': name, 'alias': alias, 'description': description, 'updated': _UPDATED,
             'links': []}
            for alias, (name, description) in EXTENSIONS.items()
        ]
    }
