# SPDX-License-Identifier: Apache-2.0
"""The Backup Management dialect: checkpoints of a cluster of partitions, and what operators watch
the service with.
"""

import orjson

from backupsvc.api.actuator_v1 import faults, routes
from backupsvc.wsgi import dialect, request

#: What Spring Boot's actuator names its JSON; answered to those who ask for it.
MEDIA_TYPES = tuple(
    f'application/vnd.spring-boot.actuator.v{version}+json' for version in (3, 2))

_JSON = dialect.Representation(
    parse=lambda raw, schema: request.parse_json(raw), render=orjson.dumps)

DIALECT = dialect.Dialect(
    name='actuator_v1',
    title='Backup Management v1',
    mounts=('/actuator',),
    zone='management',
    routes=routes.ROUTES,
    faults=faults.FAULTS,
    content_types=('application/json', *MEDIA_TYPES),
    representations=dict.fromkeys(MEDIA_TYPES, _JSON),
    ignores_last_slash=True,
)
