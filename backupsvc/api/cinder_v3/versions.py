# SPDX-License-Identifier: Apache-2.0
"""Microversions of the Cinder v3 dialect by name, their bounds, and its version entry."""

from backupsvc.wsgi import dialect, microversion

MINIMUM = (3, 0)
USER_MESSAGES = (3, 3)
SERVICE_CLUSTER = (3, 7)
BACKUP_UPDATE = (3, 9)
VOLUME_SUMMARY = (3, 12)
GROUPS = (3, 13)
GROUP_SNAPSHOTS = (3, 14)
VOLUME_METADATA_ETAGS = (3, 15)
BACKUP_PROJECT = (3, 18)
PROVIDER_ID = (3, 21)
FORCE_IN_DELETE = (3, 23)
GENERAL_FILTERS = (3, 31)
RESOURCE_FILTERS = (3, 33)
LIKE_FILTERS = (3, 34)
SUMMARY_METADATA = (3, 36)
SORT_BY_NAME = (3, 37)
SNAPSHOT_USER_ID = (3, 41)
BACKUP_METADATA = (3, 43)
COUNT_IN_LISTS = (3, 45)
#: Documented for 3.47; a running Cinder takes backup_id from 3.46 on.
VOLUME_FROM_BACKUP = (3, 46)
SHARED_TARGETS = (3, 48)
BACKEND_STATE = (3, 49)
BACKUP_AVAILABILITY_ZONE = (3, 51)
TRANSFER_SNAPSHOTS = (3, 55)
BACKUP_USER_ID = (3, 56)
TRANSFER_PROJECTS = (3, 57)
CLUSTER_NAME = (3, 61)
VOLUME_TYPE_ID = (3, 63)
ENCRYPTION_KEY_ID = (3, 64)
CONSUMES_QUOTA = (3, 65)
#: Snapshots of volumes in use need no ``force`` any more, and it may not be false.
SNAPSHOT_IN_USE = (3, 66)
#: URLs without a project id are served whatever version a request names, as in Cinder.
PROJECT_ID_OPTIONAL = (3, 67)
MAXIMUM = (3, 71)

VERSIONS = dialect.Versions(service_type='volume', minimum=MINIMUM, maximum=MAXIMUM)


def before(version: dialect.Version) -> dialect.Version:
    """Return the microversion just under ``version``: the end of what it replaced."""
    return version[0], version[1] - 1


def entry(req) -> dict:
    """Return the dialect's entry of a version document.

    ``version`` and ``min_version`` are what cinderclient and keystoneauth negotiate by.
    """
    return {
        'id': 'v3.0',
        'status': 'CURRENT',
        'version': microversion.text(MAXIMUM),
        'min_version': microversion.text(MINIMUM),
        'updated': '2023-08-31T00:00:00Z',
        'links': [
            {'rel': 'describedby', 'type': 'text/html', 'href': 'https://docs.openstack.org/'},
            {'rel': 'self', 'href': f'{req.application_url}/v3/'},
        ],
        'media-types': [
            {
                'base': 'application/json',
                'type': 'application/vnd.openstack.volume+json;version=3',
            }
        ],
    }
