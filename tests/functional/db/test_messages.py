# SPDX-License-Identifier: Apache-2.0
"""User messages belong to a project and expire."""

import datetime

import pytest

from backupsvc import exception
from backupsvc.objects.message import Message, MessageList
from tests.functional.db import records
from tests.functional.db.conftest import PROJECT


def _create(context, **values):
    message = Message(context, **{
        'project_id': context.project_id, 'event_id': 'VOLUME_VOLUME_BACKUP_013_020',
        'message_level': 'ERROR', 'resource_type': 'VOLUME_BACKUP', 'action_id': '013',
        'detail_id': '020', **values})
    message.create()
    return message


def test_a_message_is_read_by_its_project_and_admins(context, stranger, admin):
    message = _create(context, resource_id='r', request_id='req-1')
    found = Message.get_by_id(context, message.id)
    assert (found.project_id, found.resource_id, found.detail_id) == (PROJECT, 'r', '020')
    assert Message.get_by_id(admin, message.id).id == message.id
    with pytest.raises(exception.MessageNotFound):
        Message.get_by_id(stranger, message.id)
    assert len(MessageList.get_all(stranger)) == 0
    assert len(MessageList.get_all(admin)) == 1


@pytest.mark.parametrize('message_id', ['', 'x', 'a\x00'])
def test_a_missing_message_is_not_found(context, message_id):
    with pytest.raises(exception.MessageNotFound):
        Message.get_by_id(context, message_id)
    with pytest.raises(exception.MessageNotFound):
        MessageList.get_all(context, marker_id=message_id)


def test_an_expired_message_is_gone(context):
    old = _create(context, expires_at=records.ago(1))
    new = _create(context, expires_at=records.ago(-1000))
    with pytest.raises(exception.MessageNotFound):
        Message.get_by_id(context, old.id)
    assert [message.id for message in MessageList.get_all(context)] == [new.id]


def test_a_message_is_deleted_by_its_project_once(context, stranger):
    message = _create(context)
    with pytest.raises(exception.MessageNotFound):
        Message(stranger, id=message.id).destroy()
    message.destroy()
    with pytest.raises(exception.MessageNotFound):
        message.destroy()


def test_messages_are_filtered_sorted_and_paged(context):
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = [_create(context, created_at=start + datetime.timedelta(seconds=number % 2),
                    resource_id=None if number == 2 else 'ab'[number % 2]) for number in range(6)]
    by_age = sorted(made, key=lambda message: (message.created_at, message.id), reverse=True)
    walked = []
    while page := [message.id for message in MessageList.get_all(
            context, limit=2, marker_id=walked[-1] if walked else None)]:
        walked += page
    assert walked == [message.id for message in by_age]
    assert {message.id for message in MessageList.get_all(context, {'resource_id': 'b'})} == {
        message.id for message in made[1::2]}
    assert len(MessageList.get_all(context, {'no_such': 'x'})) == 0
    first = next(iter(MessageList.get_all(context, sort=[('resource_id', 'asc')])))
    assert first.id == made[2].id
    assert [message.id for message in MessageList.get_all(context, offset=4)] == walked[4:]
