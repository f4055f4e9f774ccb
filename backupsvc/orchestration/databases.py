# SPDX-License-Identifier: Apache-2.0
"""Use cases of what is in a database instance: databases, users, root.

All of it is read from the server and changed there, by the manager on the server's host, while the
caller waits. Passwords are hashed before anything else sees them, and the hashes travel sealed.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from typing import Any

from backupsvc import exception, rpc, states
from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import Database, DatabaseUser
from backupsvc.objects.database_instance import DatabaseInstance
from backupsvc.orchestration.database_instances import NewUser
from backupsvc.policies import databases as policies
from backupsvc.rpc import sealing

#: Statuses in which a server answers.
_SERVING = (states.ACTIVE, states.BACKING_UP)

#: Verbs whose arguments have hashes of passwords.
_SECRET = ('create_users', 'update_user', 'enable_root')


def _ready(context: RequestContext, instance_id: str, rule: str,
           statuses: Sequence[str]) -> DatabaseInstance:
    instance = DatabaseInstance.get_by_id(context, instance_id)
    context.authorize(rule, instance)
    if instance.status not in statuses:
        raise exception.DatabaseInstanceBusy(instance_id=instance.id, status=instance.status)
    return instance


def _ask(context: RequestContext, instance_id: str, rule: str, verb: str,
         **arguments: Any) -> Any:
    """Have the server asked: also while it is being backed up.

    :raises DatabaseInstanceNotFound: there is none, for this caller
    :raises DatabaseInstanceBusy: its server does not answer in this status
    :raises Unavailable: its manager does not answer
    """
    instance = _ready(context, instance_id, rule, _SERVING)
    return rpc.manager_api().call_database(context, instance, verb, arguments)


def _change(context: RequestContext, instance_id: str, rule: str, verb: str,
            **arguments: Any) -> None:
    """Have something changed in the server; errors as of ``_ask``, and busy while backed up."""
    instance = _ready(context, instance_id, rule, (states.ACTIVE,))
    _call(context, instance, verb, arguments)


def _call(context: RequestContext, instance: DatabaseInstance, verb: str,
          arguments: dict[str, Any]) -> None:
    """Call a verb; what is secret in it can be read by the instance's manager alone."""
    manager = rpc.manager_api()
    if verb in _SECRET:
        key = manager.call_database(context, instance, 'make_key', {})
        arguments = {'sealed': sealing.seal(key, sealing.label(instance.id, verb), arguments)}
    manager.call_database(context, instance, verb, arguments)


# Databases ---------------------------------------------------------------------------------------


def list_(context: RequestContext, instance_id: str, limit: int | None = None,
          marker: str | None = None) -> list[Database]:
    """Return databases by name, those after ``marker``."""
    rows = _ask(context, instance_id, policies.DATABASES_LIST, 'list_databases', limit=limit,
                marker=marker)
    return [Database(**row) for row in rows]


def create(context: RequestContext, instance_id: str, databases: Sequence[Database]) -> None:
    """Make databases, all or none.

    :raises DatabaseExists: there is one of that name
    :raises InvalidInput: the server cannot have such a one
    """
    _change(context, instance_id, policies.DATABASES_CREATE, 'create_databases',
            databases=[dataclasses.asdict(database) for database in databases])


def delete(context: RequestContext, instance_id: str, name: str) -> None:
    """Remove a database with all that it holds.

    :raises DatabaseNotFound: there is none of that name
    :raises InvalidInput: the name is reserved
    """
    _change(context, instance_id, policies.DATABASES_DELETE, 'delete_database', name=name)


# Users -------------------------------------------------------------------------------------------


def list_users(context: RequestContext, instance_id: str, limit: int | None = None,
               marker: tuple[str, str] | None = None) -> list[DatabaseUser]:
    """Return users by name and host, those after ``marker``."""
    rows = _ask(context, instance_id, policies.USERS_LIST, 'list_users', limit=limit,
                marker=marker)
    return [_user(row) for row in rows]


def _user(row: Any) -> DatabaseUser:
    return DatabaseUser(row['name'], row['host'], tuple(row['databases']))


def show_user(context: RequestContext, instance_id: str, name: str, host: str) -> DatabaseUser:
    """Return a user.

    :raises DatabaseUserNotFound: there is none of that name and host
    """
    return _user(_ask(context, instance_id, policies.USERS_SHOW, 'show_user', name=name,
                      host=host))


def create_users(context: RequestContext, instance_id: str, users: Sequence[NewUser]) -> None:
    """Make users with their grants, all or none.

    :raises DatabaseUserExists: there is one of that name and host
    :raises DatabaseNotFound: a database to grant does not exist
    :raises InvalidInput: the server cannot have such a one
    """
    hashed = loader.database_driver().hash_password
    _change(context, instance_id, policies.USERS_CREATE, 'create_users', users=[
        {'name': user.name, 'host': user.host, 'databases': list(user.databases),
         'password_hash': hashed(user.password)} for user in users])


def update_user(context: RequestContext, instance_id: str, name: str, host: str, *,
                new_name: str | None = None, new_host: str | None = None,
                password: str | None = None) -> None:
    """Change name, host or password of a user; None leaves as it is.

    :raises DatabaseUserNotFound: there is none of that name and host
    :raises DatabaseUserExists: there is one of the new name and host
    :raises InvalidInput: the server cannot have such a one
    """
    _change(context, instance_id, policies.USERS_UPDATE, 'update_user', name=name, host=host,
            new_name=new_name, new_host=new_host, password_hash=_hash(password))


def _hash(password: str | None) -> str | None:
    return None if password is None else loader.database_driver().hash_password(password)


def change_passwords(context: RequestContext, instance_id: str,
                     users: Sequence[NewUser]) -> None:
    """Give users other passwords; those before one that does not exist have them by then.

    :raises DatabaseUserNotFound: there is none of that name and host
    """
    instance = _ready(context, instance_id, policies.USERS_UPDATE, (states.ACTIVE,))
    for user in users:  # all are looked for before any is changed
        rpc.manager_api().call_database(
            context, instance, 'show_user', {'name': user.name, 'host': user.host})
    for user in users:
        _call(context, instance, 'update_user', {
            'name': user.name, 'host': user.host, 'password_hash': _hash(user.password)})


def delete_user(context: RequestContext, instance_id: str, name: str, host: str) -> None:
    """Remove a user.

    :raises DatabaseUserNotFound: there is none of that name and host
    :raises InvalidInput: the name is reserved
    """
    _change(context, instance_id, policies.USERS_DELETE, 'delete_user', name=name, host=host)


def grant(context: RequestContext, instance_id: str, name: str, host: str,
          databases: Sequence[str]) -> None:
    """Let a user use databases, beside those that it may use.

    :raises DatabaseUserNotFound, DatabaseNotFound: there is none; nothing was granted
    """
    _change(context, instance_id, policies.USERS_UPDATE, 'grant', name=name, host=host,
            databases=list(databases))


def revoke(context: RequestContext, instance_id: str, name: str, host: str,
           database: str) -> None:
    """Let a user use a database no more.

    :raises DatabaseUserNotFound: there is none of that name and host
    :raises DatabaseNotFound: it may not use such a one
    """
    _change(context, instance_id, policies.USERS_UPDATE, 'revoke', name=name, host=host,
            database=database)


# Root --------------------------------------------------------------------------------------------


def is_root_enabled(context: RequestContext, instance_id: str) -> bool:
    """Return whether root may log in."""
    return _ask(context, instance_id, policies.ROOT_SHOW, 'is_root_enabled')


def enable_root(context: RequestContext, instance_id: str, password: str | None = None) -> str:
    """Let root log in from everywhere and return its password: the given one, or a new one."""
    password = password or secrets.token_urlsafe(24)
    _change(context, instance_id, policies.ROOT_ENABLE, 'enable_root',
            password_hash=_hash(password))
    return password


def disable_root(context: RequestContext, instance_id: str) -> None:
    """Let root log in no more."""
    _change(context, instance_id, policies.ROOT_DISABLE, 'disable_root')
