# SPDX-License-Identifier: Apache-2.0
"""Schemas of backups: the request closed, answers with every field of the dialect's document."""

#: Ids and positions are signed and have 64 bits.
MAX_ID = 2**63 - 1


def _object(properties: dict, required: tuple[str, ...] = ()) -> dict:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
    }


#: Without an id where the service makes the ids, with one where it does not.
CREATE = {
    **_object({'backupId': {'type': ['integer', 'null'], 'minimum': 1, 'maximum': MAX_ID}}),
    'type': ['object', 'null'],
}

QUERY: dict = {'type': 'object', 'additionalProperties': {'type': 'string'}}

_ID = {'type': 'integer', 'minimum': 1, 'maximum': MAX_ID}
_POSITION = {'type': 'integer', 'minimum': 0, 'maximum': MAX_ID}
_TEXT = {'type': 'string'}
_TIME = {'type': 'string', 'format': 'date-time'}

CREATED = _object({'message': _TEXT, 'backupId': _ID}, ('message',))

_PARTITION_STATE = {
    'type': 'string',
    'enum': ['DOES_NOT_EXIST', 'IN_PROGRESS', 'COMPLETED', 'FAILED'],
}
_SUMMARY_FIELDS = {
    'partitionId': {'type': 'integer', 'minimum': 1},
    'state': _PARTITION_STATE,
    'failureReason': _TEXT,
    'createdAt': _TIME,
    'brokerVersion': _TEXT,
}
_DETAIL_FIELDS = {
    **_SUMMARY_FIELDS,
    'lastUpdatedAt': _TIME,
    'snapshotId': _TEXT,
    'checkpointPosition': _POSITION,
    'brokerId': {'type': 'integer', 'minimum': 0},
}


def _backup(fields: dict) -> dict:
    return _object(
        {
            'backupId': _ID,
            'state': {
                'type': 'string',
                'enum': ['IN_PROGRESS', 'COMPLETED', 'FAILED', 'INCOMPLETE'],
            },
            'failureReason': _TEXT,
            'details': {
                'type': 'array',
                'items': _object(fields, ('partitionId', 'state')),
                'minItems': 1,
            },
        },
        ('backupId', 'state', 'details'),
    )


LIST = {'type': 'array', 'items': _backup(_SUMMARY_FIELDS)}

#: One backup, or a list where a prefix of ids was asked for.
SHOW = {**_backup(_DETAIL_FIELDS), 'type': ['object', 'array'], 'items': _backup(_SUMMARY_FIELDS)}

_STATE_FIELDS = {
    'partitionId': {'type': 'integer', 'minimum': 1},
    'checkpointId': _ID,
    'checkpointType': {'type': 'string', 'enum': ['MANUAL_BACKUP', 'SCHEDULED_BACKUP']},
    'checkpointPosition': _POSITION,
    'checkpointTimestamp': _TIME,
}
_STATES = {'type': 'array', 'items': _object(_STATE_FIELDS, tuple(_STATE_FIELDS))}
_RANGE_FIELDS = {'partitionId': {'type': 'integer', 'minimum': 1}, 'start': _ID, 'end': _ID}

STATE = _object(
    {
        'checkpointStates': _STATES,
        'backupStates': _STATES,
        'ranges': {'type': 'array', 'items': _object(_RANGE_FIELDS, tuple(_RANGE_FIELDS))},
    },
    ('checkpointStates', 'backupStates', 'ranges'),
)
