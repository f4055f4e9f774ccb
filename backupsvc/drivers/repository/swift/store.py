# SPDX-License-Identifier: Apache-2.0
"""The store port on a Swift container.

An object above the segment size is a static large object whose segments lie in a second container.
Every body is sent with its MD5, which Swift checks before it stores. A conditional put is decided
by the object servers one by one, so two that race can both succeed.
"""

import datetime
import hashlib
import json
import os
import urllib.parse
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import requests
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import v3
from swiftclient import authv1

from backupsvc import exception
from backupsvc.drivers.repository.swift import client as swift_client
from backupsvc.engine import errors
from backupsvc.engine.store import Buffer, ObjectInfo, Store, check_key

#: Swift's own default limit of an object is 5 GiB.
SEGMENT_SIZE = 1 << 30
#: Follows the name of a container to name the one of its segments.
SEGMENTS_SUFFIX = '_segments'
_URL_FORM = 'swift://container or swift://container/prefix, with ST_AUTH, ST_USER and ST_KEY or '\
            'the OS_… variables of Keystone in the environment'


def open_url(url: str, *, create: bool = False) -> 'SwiftStore':
    """Open ``swift://container[/prefix]`` with credentials from the environment.

    ``ST_AUTH``, ``ST_USER``, ``ST_KEY`` (version 1) or ``OS_AUTH_URL``, ``OS_USERNAME`` …
    (Keystone version 3), as the swift command reads them.
    """
    parts = urllib.parse.urlsplit(url)
    container = urllib.parse.unquote(parts.netloc)
    if parts.scheme != 'swift' or not container or parts.query:
        raise exception.InvalidInput(reason=f'{url} is not of the form {_URL_FORM}')
    verify = os.environ.get('OS_CACERT') or True
    account = swift_client.Account(
        keystone_session.Session(auth=_environment_auth(url), verify=verify),
        interface=os.environ.get('OS_INTERFACE', 'public'),
        region_name=os.environ.get('OS_REGION_NAME'))
    client = swift_client.SwiftClient(swift_client.new_session(16, verify), account)
    try:
        store = SwiftStore(client, container, urllib.parse.unquote(parts.path).strip('/'))
        if create:
            store.create_container()
        elif not store.container_exists():
            raise exception.NotFound(f'The container {container} does not exist.')
    except errors.StoreError as error:
        raise exception.DriverFailed(reason=str(error)) from error
    return store


def _environment_auth(url: str) -> Any:
    environment = os.environ
    if environment.get('ST_AUTH'):
        return authv1.PasswordPlugin(environment['ST_AUTH'], environment.get('ST_USER', ''),
                                     environment.get('ST_KEY', ''))
    if not environment.get('OS_AUTH_URL'):
        raise exception.InvalidInput(reason=f'{url} needs the form {_URL_FORM}')
    return v3.Password(
        auth_url=environment['OS_AUTH_URL'], username=environment.get('OS_USERNAME'),
        password=environment.get('OS_PASSWORD', ''),
        user_domain_name=environment.get('OS_USER_DOMAIN_NAME', 'Default'),
        project_id=environment.get('OS_PROJECT_ID'),
        project_name=environment.get('OS_PROJECT_NAME'),
        project_domain_name=environment.get('OS_PROJECT_DOMAIN_NAME', 'Default'))


class SwiftStore(Store):
    """Objects of one container, under a prefix.

    :param client: requests to the account
    :param container: the container; it must exist before anything is put
    :param prefix: stands before every key, a ``/`` between; may be empty
    :param segment_size: bytes above which an object is stored in segments of this size
    :param page_size: objects asked for at once by a listing
    """

    def __init__(self, client: swift_client.SwiftClient, container: str, prefix: str = '', *,
                 segment_size: int = SEGMENT_SIZE, page_size: int = 5000):
        self._client = client
        self._container = container
        self._prefix = f'{prefix}/' if prefix else ''
        self._segment_size = segment_size
        self._page_size = page_size

    def create_container(self) -> None:
        """Make the container; it may exist already."""
        self._client.request(f'container {self._container}', 'PUT', self._container)

    def container_exists(self) -> bool:
        """Return whether the container is there."""
        answer = self._client.request(
            f'container {self._container}', 'HEAD', self._container, accept=[404])
        return answer.status_code != 404

    def url(self, key: str) -> str:
        """Return the URL of an object."""
        return self._client.url(self._path(key))

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        path = self._path(key)
        body = swift_client.Parts(parts)
        headers = {'If-None-Match': '*'} if if_absent else {}
        if len(body) > self._segment_size:
            self._put_segmented(key, path, body, headers)
        else:
            self._put_one(key, path, body, headers)

    def get(self, key: str) -> bytes:
        return self._client.request(key, 'GET', self._path(key), read=_whole_body)

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        path = self._path(key)
        if not len(buffer):
            self.stat(key)
            return 0
        headers = {'Range': f'bytes={offset}-{offset + len(buffer) - 1}'}
        # 416: the object has no byte at this offset.
        answer = self._client.request(key, 'GET', path, headers=headers, accept=[416],
                                      read=lambda answer: _fill(answer, buffer))
        return answer if isinstance(answer, int) else 0

    def stat(self, key: str) -> ObjectInfo:
        headers = self._head(key)
        return ObjectInfo(key, int(headers['Content-Length']), float(headers['X-Timestamp']))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        marker = ''
        while True:
            params = {'format': 'json', 'limit': str(self._page_size), 'marker': marker,
                      'prefix': self._prefix + prefix}
            page = self._client.request(f'container {self._container}', 'GET', self._container,
                                        params=params, read=lambda answer: answer.json())
            for row in page:
                yield ObjectInfo(row['name'].removeprefix(self._prefix), row['bytes'],
                                 _parse_time(row['last_modified']))
            # Not by the length of the page: the server may give fewer than were asked for.
            if not page:
                return
            marker = page[-1]['name']

    def delete(self, key: str) -> None:
        try:
            headers = self._head(key)
        except errors.ObjectNotFound:
            return
        is_segmented = headers.get('X-Static-Large-Object', '').lower() == 'true'
        params = {'multipart-manifest': 'delete'} if is_segmented else None
        self._client.request(key, 'DELETE', self._path(key), params=params, accept=[404])

    def close(self) -> None:
        self._client.close()

    def _path(self, key: str) -> str:
        return f'{self._container}/{self._prefix}{check_key(key)}'

    def _head(self, key: str) -> Any:
        return self._client.request(key, 'HEAD', self._path(key)).headers

    def _put_one(self, key: str, path: str, body: swift_client.Parts,
                 headers: dict[str, str]) -> str:
        etag = _md5(body)
        self._put(key, path, body, {**headers, 'ETag': etag})
        return etag

    def _put(self, key: str, path: str, body: swift_client.Parts | bytes, headers: dict[str, str],
             params: dict[str, str] | None = None) -> None:
        answer = self._client.request(
            key, 'PUT', path, headers={'Content-Type': 'application/octet-stream', **headers},
            params=params, body=body if len(body) else b'', accept=[404, 412])
        if answer.status_code == 412:
            raise errors.ObjectExists(key)
        if answer.status_code == 404:
            container = path.partition('/')[0]
            raise errors.StoreError(f'{key}: the container {container} does not exist')

    def _put_segmented(self, key: str, path: str, body: swift_client.Parts,
                       headers: dict[str, str]) -> None:
        container = self._container + SEGMENTS_SUFFIX
        self._client.request(f'container {container}', 'PUT', container)
        # Every attempt has segments of its own: a reader of an older object keeps what it reads.
        base = f'{self._prefix}{key}/{uuid.uuid4().hex}'
        segments: list[dict[str, Any]] = []
        try:
            for offset in range(0, len(body), self._segment_size):
                piece = body.slice(offset, self._segment_size)
                name = f'{container}/{base}/{len(segments):08d}'
                segments.append({'path': f'/{name}', 'size_bytes': len(piece)})
                segments[-1]['etag'] = self._put_one(key, name, piece, {})
            self._put(key, path, json.dumps(segments).encode(), headers,
                      {'multipart-manifest': 'put'})
        except errors.StoreTransient:
            raise  # the manifest may stand after all, so its segments stay
        except errors.StoreError:
            for segment in segments:
                self._client.request(key, 'DELETE', segment['path'].lstrip('/'), accept=[404])
            raise


def _md5(body: swift_client.Parts) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for part in body:
        digest.update(part)
    return digest.hexdigest()


def _whole_body(answer: requests.Response) -> bytes:
    data = answer.content
    expected = answer.headers.get('Content-Length')
    if expected is not None and len(data) != int(expected):
        raise errors.StoreTransient('the answer broke off')
    return data


def _fill(answer: requests.Response, buffer: memoryview) -> int:
    """Read a body into ``buffer``; a body shorter than announced raises."""
    if answer.status_code == 200 and 'Content-Range' not in answer.headers:
        raise errors.StoreError('the server does not answer range requests')
    total = 0
    while total < len(buffer):
        count = answer.raw.readinto(buffer[total:])
        if not count:
            break
        total += count
    if total != int(answer.headers['Content-Length']):
        raise errors.StoreTransient('the answer broke off')
    return total


def _parse_time(text: str) -> float:
    """Return the seconds since the epoch of a listing's time, which is UTC without saying so."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()
