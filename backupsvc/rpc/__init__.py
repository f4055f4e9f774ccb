# SPDX-License-Identifier: Apache-2.0
"""Messages between processes: transport, serializer and the thread that sends.

Messages only wake: every long operation is a row, and the managers' sweep finds it without any
message. So sending never blocks and never fails a caller: what cannot be sent is logged and
dropped.
"""

from backupsvc import objects  # noqa: I001 - first: it keeps oslo.messaging off eventlet

import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_versionedobjects import base as ovo_base

from backupsvc import conf, context, exception
from backupsvc.objects import base as objects_base
from backupsvc.rpc import sender

TOPIC = 'backupsvc-manager'

#: Of the messages to managers; its history is in ``manager.py``.
VERSION = '1.2'

_lock = threading.RLock()
_state: dict[str, Any] = {}


class ObjectSerializer(ovo_base.VersionedObjectSerializer):
    """Records across the wire, by name and version."""

    OBJ_BASE_CLASS = objects_base.BackupsvcObject

    def serialize_entity(self, context: Any, entity: Any) -> Any:
        """Write a record as the oldest of its receivers reads it."""
        from backupsvc.rpc import versions
        wanted = versions.records() if isinstance(entity, self.OBJ_BASE_CLASS) else None
        if not wanted or entity.obj_name() not in wanted:
            return super().serialize_entity(context, entity)
        return entity.obj_to_primitive(target_version=wanted[entity.obj_name()],
                                       version_manifest=wanted)


class ContextSerializer(messaging.Serializer):
    """The request context across the wire, without the caller's token: no work needs it."""

    _SECRETS = ('auth_token', 'service_token', 'service_catalog')

    def __init__(self, base: messaging.Serializer):
        self._base = base

    def serialize_entity(self, ctxt: Any, entity: Any) -> Any:
        return self._base.serialize_entity(ctxt, entity)

    def deserialize_entity(self, ctxt: Any, entity: Any) -> Any:
        return self._base.deserialize_entity(ctxt, entity)

    def serialize_context(self, ctxt: Any) -> dict[str, Any]:
        values = dict(ctxt) if isinstance(ctxt, dict) else ctxt.to_dict()
        return {key: value for key, value in values.items() if key not in self._SECRETS}

    def deserialize_context(self, ctxt: dict[str, Any]) -> context.RequestContext:
        return context.RequestContext.from_dict(ctxt)


def serializer() -> messaging.Serializer:
    """Return the serializer of every message of ours."""
    objects.register_all()
    return ContextSerializer(ObjectSerializer())


def _singleton(name: str, build: Callable[[], Any]) -> Any:
    with _lock:
        if name not in _state:
            _state[name] = build()
        return _state[name]


def _prepared_conf() -> cfg.ConfigOpts:
    """Return the configuration with the options that the library needs and does not register.

    It registers these in its global configuration object and reads them from the one it is given.
    """
    ours = conf.current()
    for name in ('tracing', 'metrics'):
        with contextlib.suppress(ImportError):  # not in every version
            module = importlib.import_module(f'oslo_messaging._{name}.client')
            group = f'oslo_messaging_{name}'
            ours.register_opts(getattr(module, group), group=group)
    messaging.set_transport_defaults(control_exchange='backupsvc')
    return ours


def transport() -> messaging.Transport:
    """Return the process's RPC transport, as ``transport_url`` names it."""
    return _singleton('transport', lambda: messaging.get_rpc_transport(
        _prepared_conf(), allowed_remote_exmods=[exception.__name__]))


def client() -> messaging.RPCClient:
    """Return an RPC client of the manager topic."""
    def build() -> messaging.RPCClient:
        target = messaging.Target(topic=TOPIC, version=VERSION)
        return messaging.get_rpc_client(transport(), target, serializer=serializer(), retry=1)
    return _singleton('client', build)


def server(host: str, endpoints: list[Any]) -> messaging.MessageHandlingServer:
    """Return a server of the manager topic, not started; threads work on what it receives."""
    target = messaging.Target(topic=TOPIC, server=host)
    return messaging.get_rpc_server(
        transport(), target, endpoints, executor='threading', serializer=serializer(),
        access_policy=messaging.DefaultRPCAccessPolicy)


def manager_api() -> Any:
    """Return the client side of the manager's messages, a ``manager.ManagerAPI``."""
    from backupsvc.rpc import manager
    return _singleton('manager_api', manager.ManagerAPI)


def notifier() -> messaging.Notifier:
    """Return the notifier that ``[oslo_messaging_notifications]`` describes, without publisher."""
    def build() -> messaging.Notifier:
        return messaging.Notifier(messaging.get_notification_transport(_prepared_conf()),
                                  serializer=serializer(), retry=1)
    return _singleton('notifier', build)


def send(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Have the sending thread call ``function``, in order; never blocks and never raises.

    :param what: names the message in the log
    """
    _singleton('sender', sender.Sender).put(what, function, *args, **kwargs)


def flush(timeout_s: float = 5.0) -> bool:
    """Wait until what was handed to ``send`` has gone out, and tell whether it has."""
    with _lock:
        sending = _state.get('sender')
    return sending is None or sending.flush(timeout_s)


def reset() -> None:
    """Close everything; the next use builds it anew from the configuration installed then."""
    with _lock:
        state = dict(_state)
        _state.clear()
    if 'sender' in state:
        state['sender'].stop()
    if 'notifier' in state:
        state['notifier'].transport.cleanup()
    if 'transport' in state:
        state['transport'].cleanup()
