# SPDX-License-Identifier: Apache-2.0
"""From an attachment to an open image: Cinder says where it is, os-brick opens it.

Used in movers only: what is imported here is imported by them alone.
"""

import atexit
import platform
import sys
from typing import Any

from oslo_config import cfg

from backupsvc import exception
from backupsvc.drivers.volume.cinder.client import CinderClient

RBD = 'rbd'

#: librados waits for ever when it is left before its images are closed, and that is how Python may
#: forget them; so nothing that is open is forgotten.
_open: set['Connection'] = set()


class Connection:
    """An image that os-brick has opened, and the pool that it is in.

    :param info: what Cinder tells whoever attaches the volume
    :raises DriverFailed: the storage is none that can be opened here, or does not let us in
    """

    def __init__(self, info: dict[str, Any]):
        protocol = info.get('driver_volume_type')
        if protocol != RBD:
            raise exception.DriverFailed(
                reason=f'Volumes of storage type "{protocol}" cannot be opened; only RBD can.')
        try:
            import rados
            import rbd
        except ImportError as error:
            raise exception.DriverFailed(
                reason=f'The Python bindings of Ceph are not installed: {error}') from error
        # os-brick's privileged helper, which is not used, imports eventlet where it finds it.
        sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]
        from os_brick import exception as brick_exception
        from os_brick.initiator.connectors.rbd import RBDConnector
        self._rbd = rbd
        self._info = info
        self._connector = RBDConnector('', do_local_attach=False)
        try:
            self._handle: Any = self._connector.connect_volume(info)['path']
        except (brick_exception.BrickException, rbd.Error, rados.Error) as error:
            raise exception.DriverFailed(
                reason=f'Ceph does not open {info.get("name")}: {error}') from error
        self.image_name = str(info['name']).partition('/')[2]
        self._images: list[Any] = []
        _open.add(self)

    @property
    def image(self) -> Any:
        """The image of the attachment, an ``rbd.Image``, open for writing."""
        return self._handle.rbd_image.image

    def open(self, name: str, snapshot: str | None = None) -> Any:
        """Open another image of the pool for reading, or a snapshot of one.

        :raises DriverFailed: there is none
        """
        try:
            image = self._rbd.Image(self._handle.rbd_image.client.ioctx, name,
                                    snapshot=snapshot, read_only=True)
        except self._rbd.Error as error:
            raise exception.DriverFailed(
                reason=f'Ceph does not open {name}@{snapshot}: {error}') from error
        self._images.append(image)
        return image

    def close(self) -> None:
        """Close all images and leave the cluster."""
        _open.discard(self)
        while self._images:
            self._images.pop().close()
        self._connector.disconnect_volume(self._info, {'path': self._handle})


def close_all() -> None:
    """Close what was not closed, at the end of a process at the latest."""
    for opened in list(_open):
        opened.close()


atexit.register(close_all)


def connector(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Return what Cinder wants to know of the host that attaches.

    By hand: os-brick's own looks for initiators of other storage, and starts a privileged helper.
    """
    return {'host': conf.host, 'ip': '127.0.0.1', 'platform': platform.machine(),
            'os_type': sys.platform, 'multipath': False, 'do_local_attach': False}


def attach_new(client: CinderClient, conf: cfg.ConfigOpts, volume_id: str) -> dict[str, Any]:
    """Attach a volume that is available, for reading; return the attachment."""
    return client.post('/attachments', {'attachment': {
        'volume_uuid': volume_id, 'mode': 'ro', 'connector': connector(conf)}})['attachment']


def attach_reserved(client: CinderClient, conf: cfg.ConfigOpts,
                    attachment_id: str) -> dict[str, Any]:
    """Connect an attachment that was reserved; return it. May be repeated, on another host."""
    return client.put(f'/attachments/{attachment_id}', {
        'attachment': {'connector': connector(conf)}})['attachment']


def attached_elsewhere(client: CinderClient, volume_id: str) -> dict[str, Any] | None:
    """Return what whoever has the volume attached was told, where that opens it for us, too."""
    for found in client.items('attachments', '/attachments/detail', all_tenants=1,
                              volume_id=volume_id):
        info = client.get(f'/attachments/{found["id"]}')['attachment'].get('connection_info')
        if info and info.get('driver_volume_type') == RBD:
            return info
    return None
