# SPDX-License-Identifier: Apache-2.0
"""The store port on a Swift container.

An object above the segment size is a static large object whose segments lie in a second container.
Every body is sent with its MD5, which Swift checks before it stores. A conditional put is decided
by the object servers one by one, so two that race can both succeed.
"""

import datetime
import hashlib
import json
import logging
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
from backupsvc.engine.store import Buffer, ObjectInfo, Store, Upload, check_key

LOG = logging.getLogger(__name__)

#: Swift's own default limit of an object is 5 GiB.
SEGMENT_SIZE = 1 << 30
#: Swift's own default limit of what one manifest may name.
MANIFEST_LIMIT = 1000
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
        try:
            self._client.request(f'container {self._container}', 'PUT', self._container)
        except (errors.ObjectNotFound, errors.StoreTransient) as error:
            # Swift answers one or the other where the account was deleted.
            raise self._explained(self._container, error) from error

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

    def upload(self, key: str) -> '_SwiftUpload':
        upload = _SwiftUpload(self, key)
        upload.abort()
        return upload

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
            raise self._explained(path.partition('/')[0])

    def _explained(
        self, container: str, error: errors.StoreError | None = None
    ) -> errors.StoreError:
        """Return why a container cannot be used: its account was deleted, or ``error`` if that
        may pass, or it is not there.
        """
        try:
            self._client.request(f'container {container}', 'HEAD', '')
        except errors.StoreDenied:  # who may write a container need not be allowed to ask this
            pass
        except errors.StoreError as found:
            return found
        if isinstance(error, errors.StoreTransient):
            return error
        return errors.StoreError(f'Swift: the container {container} does not exist')

    # Of an upload.

    def create_segments_container(self) -> None:
        """Make the container for segments; it may exist already."""
        container = self._container + SEGMENTS_SUFFIX
        self._client.request(f'container {container}', 'PUT', container)

    def put_segment(self, key: str, number: int, piece: Buffer) -> dict[str, Any]:
        """Store a segment; return its entry in the manifest."""
        name = f'{self._pieces(key)}{number:08d}'
        body = swift_client.Parts([piece])
        etag = self._put_one(key, name, body, {})
        return {'path': f'/{name}', 'size_bytes': len(body), 'etag': etag}

    def put_manifest(self, key: str, segments: Sequence[dict[str, Any]]) -> None:
        """Make an object of segments: of manifests of them where there are more than one holds."""
        if len(segments) > MANIFEST_LIMIT:
            groups = [segments[first:first + MANIFEST_LIMIT]
                      for first in range(0, len(segments), MANIFEST_LIMIT)]
            segments = [self._put_part(key, number, group) for number, group in enumerate(groups)]
        self._put(key, self._path(key), json.dumps(list(segments)).encode(), {},
                  {'multipart-manifest': 'put'})

    def _put_part(self, key: str, number: int,
                  segments: Sequence[dict[str, Any]]) -> dict[str, Any]:
        name = f'{self._pieces(key)}part-{number:04d}'
        self._put(key, name, json.dumps(list(segments)).encode(), {},
                  {'multipart-manifest': 'put'})
        return {'path': f'/{name}', 'size_bytes': sum(each['size_bytes'] for each in segments)}

    def delete_segments(self, key: str) -> None:
        """Remove the segments of an upload that was not committed.

        Those of an object that is there are its own, and stay until it is replaced.
        """
        if self._is_segmented(key):
            self.delete(key)
        container, _, prefix = self._pieces(key).partition('/')
        while True:
            answer = self._client.request(
                f'container {container}', 'GET', container, accept=[404],
                params={'format': 'json', 'prefix': prefix},
                read=lambda answer: answer.json() if answer.status_code == 200 else [])
            page = answer if isinstance(answer, list) else []
            if not page:
                return
            for row in page:
                self._client.request(key, 'DELETE', f'{container}/{row["name"]}', accept=[404])

    def _is_segmented(self, key: str) -> bool:
        try:
            return self._head(key).get('X-Static-Large-Object', '').lower() == 'true'
        except errors.ObjectNotFound:
            return False

    def _pieces(self, key: str) -> str:
        return f'{self._container}{SEGMENTS_SUFFIX}/{self._prefix}{check_key(key)}/pieces/'

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


class _SwiftUpload(Upload):
    """Segments of the container for segments, and a manifest in the end. A single piece is an
    object like any other.

    The names of the segments follow from the key, so that a later upload finds them.
    """

    piece_bytes = 64 << 20

    def __init__(self, store: SwiftStore, key: str):
        self._store = store
        self._key = key
        self._first: bytes | None = None
        self._segments: list[dict[str, Any]] = []
        self._is_done = False

    def write(self, number: int, piece: Buffer) -> None:
        if number == 0:
            self._first = bytes(piece)
            return
        if not self._segments:
            self._store.create_segments_container()
            self._segments.append(self._store.put_segment(self._key, 0, self._first or b''))
        self._segments[number:] = [self._store.put_segment(self._key, number, piece)]

    def commit(self) -> None:
        if self._segments:
            self._store.put_manifest(self._key, self._segments)
        else:
            self._store.put(self._key, [self._first or b''])
        self._is_done = True

    def abort(self) -> None:
        if self._is_done:
            return
        try:
            self._store.delete_segments(self._key)
        except errors.StoreError as error:
            LOG.warning('Segments of %s are left: %s', self._key, error)


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
