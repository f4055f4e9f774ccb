# SPDX-License-Identifier: Apache-2.0
"""The store port on an S3 bucket, Amazon's or a compatible server's."""

import contextlib
import logging
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import urllib3.exceptions

from backupsvc import exception
from backupsvc.engine import errors
from backupsvc.engine.store import Buffer, ObjectInfo, Store, Upload, check_key

LOG = logging.getLogger(__name__)

#: Name of the empty object that marks a container; upper case, so no key can meet it.
CONTAINER_MARK = 'CONTAINER'
#: What one DeleteObjects call may name.
_DELETE_BATCH = 1000

_MISSING = frozenset({'NoSuchKey', 'NoSuchUpload', 'NotFound', '404'})
_MISSING_BUCKET = frozenset({'NoSuchBucket'})
_FULL = frozenset({'QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded',
                   'InsufficientStorage', 'EntityTooLarge', '413', '507'})
_TRANSIENT = frozenset({
    'SlowDown', 'SlowDownRead', 'SlowDownWrite', 'ServiceUnavailable', 'InternalError',
    'RequestTimeout', 'OperationAborted', 'ConditionalRequestConflict', 'Throttling',
    'ThrottlingException', 'RequestLimitExceeded', 'BadDigest', 'XAmzContentSHA256Mismatch'})
_DENIED = frozenset({
    'AccessDenied', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken',
    'AccountProblem', 'AllAccessDisabled', 'RequestTimeTooSkewed', 'AuthorizationHeaderMalformed'})
_UNKNOWN_CALL = frozenset({'NotImplemented', 'MethodNotAllowed', 'MissingContentMD5',
                           'MalformedXML', 'InvalidRequest', '501', '405'})
_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_FAILURES = (
    botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError,
    botocore.exceptions.ReadTimeoutError, botocore.exceptions.IncompleteReadError,
    botocore.exceptions.ResponseStreamingError, urllib3.exceptions.HTTPError, OSError)


def open_url(url: str, *, create: bool = False) -> 'S3Store':
    """Open ``s3://bucket[/prefix]`` with what boto3 finds in the environment.

    ``AWS_ENDPOINT_URL_S3`` names a server that is not Amazon's.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != 's3' or not parts.netloc or parts.query:
        raise exception.InvalidInput(reason=f'{url} is not of the form s3://bucket/prefix, with '
                                            'AWS_… variables in the environment')
    client = new_client(endpoint_url=os.environ.get('AWS_ENDPOINT_URL_S3'),
                        region_name=os.environ.get('AWS_DEFAULT_REGION', 'us-east-1'))
    try:
        ensure_bucket(client, parts.netloc, create=create)
    except errors.ObjectNotFound as error:
        raise exception.NotFound(f'The bucket {parts.netloc} does not exist.') from error
    except errors.StoreError as error:
        raise exception.DriverFailed(reason=str(error)) from error
    return S3Store(client, parts.netloc, urllib.parse.unquote(parts.path).strip('/'))


def new_client(*, endpoint_url: str | None = None, region_name: str = 'us-east-1',
               access_key: str | None = None, secret_key: str | None = None,
               addressing_style: str = 'auto', ca_file: str | None = None,
               connect_timeout_s: float = 10.0, read_timeout_s: float = 60.0,
               connections: int = 16) -> Any:
    """Return a boto3 client that does not retry by itself and works with servers of all ages."""
    config = botocore.config.Config(
        connect_timeout=connect_timeout_s, read_timeout=read_timeout_s,
        max_pool_connections=connections, retries={'total_max_attempts': 1},
        # Newer checksums are unknown to many servers, and the engine authenticates what it reads.
        request_checksum_calculation='when_required', response_checksum_validation='when_required',
        s3={'addressing_style': addressing_style})
    # A session of its own: boto3's default one is not safe to share between threads.
    return boto3.session.Session().client(
        's3', endpoint_url=endpoint_url, region_name=region_name, aws_access_key_id=access_key,
        aws_secret_access_key=secret_key, verify=ca_file, config=config)


def ensure_bucket(client: Any, bucket: str, *, create: bool) -> None:
    """Check that a bucket is there.

    :param create: make it when it is not
    :raises ObjectNotFound: it is not there
    """
    what = f'bucket {bucket}'
    try:
        with translated(what):
            client.head_bucket(Bucket=bucket)
    except errors.ObjectNotFound:
        if not create:
            raise
        region = client.meta.region_name
        more = {} if region == 'us-east-1' else {
            'CreateBucketConfiguration': {'LocationConstraint': region}}
        with translated(what):
            try:
                client.create_bucket(Bucket=bucket, **more)
            except client.exceptions.BucketAlreadyOwnedByYou:
                pass  # made by another process since


class S3Store(Store):
    """Objects of one bucket, under a prefix.

    :param client: a boto3 client, see ``new_client``
    :param bucket: the bucket; it must exist
    :param prefix: stands before every key, a ``/`` between; may be empty
    :param conditional_writes: the server knows If-None-Match on a put
    :param page_size: objects asked for at once by a listing, at most 1000
    """

    def __init__(self, client: Any, bucket: str, prefix: str = '', *,
                 conditional_writes: bool = True, page_size: int = 1000):
        self._client = client
        self._bucket = bucket
        self._prefix = f'{prefix}/' if prefix else ''
        self._conditional_writes = conditional_writes
        self._page_size = page_size

    @property
    def atomic_if_absent(self) -> bool:
        return self._conditional_writes

    def put(self, key: str, parts: Sequence[Buffer], *, if_absent: bool = False) -> None:
        body = parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else b''.join(parts)
        wanted = self._name(key) | {'Body': body}
        if if_absent:
            # Asked first as well: a server may pass over a header that it does not know.
            if self._exists(key):
                raise errors.ObjectExists(key)
            if self._conditional_writes:
                wanted['IfNoneMatch'] = '*'
        try:
            with translated(key):
                self._client.put_object(**wanted)
        except _NotKnownToServer:
            if 'IfNoneMatch' not in wanted:
                raise
            self._conditional_writes = False
            self.put(key, [body], if_absent=True)

    def upload(self, key: str) -> '_S3Upload':
        upload = _S3Upload(self, check_key(key))
        upload.abort()
        return upload

    def get(self, key: str) -> bytes:
        with translated(key):
            answer = self._client.get_object(**self._name(key))
            with contextlib.closing(answer['Body']) as body:
                return body.read()

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        if not len(buffer):
            self.stat(key)
            return 0
        try:
            with translated(key):
                answer = self._client.get_object(
                    **self._name(key), Range=f'bytes={offset}-{offset + len(buffer) - 1}')
                with contextlib.closing(answer['Body']) as body:
                    return _fill(key, body, buffer, answer['ContentLength'])
        except _BehindEnd:
            return 0

    def stat(self, key: str) -> ObjectInfo:
        with translated(key):
            answer = self._client.head_object(**self._name(key))
        return ObjectInfo(key, answer['ContentLength'], answer['LastModified'].timestamp())

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        pages = iter(self._client.get_paginator('list_objects_v2').paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix,
            PaginationConfig={'PageSize': self._page_size}))
        while True:
            with translated(f'bucket {self._bucket}'):
                page = next(pages, None)
            if page is None:
                return
            if 'Name' not in page:
                # boto3 takes a body that is empty for a bucket that is.
                raise errors.StoreTransient(f'bucket {self._bucket}: the answer broke off')
            for row in page.get('Contents', ()):
                key = row['Key'].removeprefix(self._prefix)
                # What the driver itself marks a container with is no object of the port.
                if key != CONTAINER_MARK:
                    yield ObjectInfo(key, row['Size'], row['LastModified'].timestamp())

    def delete(self, key: str) -> None:
        with contextlib.suppress(errors.ObjectNotFound), translated(key):
            self._client.delete_object(**self._name(key))

    def delete_many(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), _DELETE_BATCH):
            self._delete_batch(keys[first:first + _DELETE_BATCH])

    def mark_container(self) -> None:
        """Store the object that says that the container was made."""
        with translated('the container'):
            self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + CONTAINER_MARK, Body=b'')

    def is_marked(self) -> bool:
        """Return whether ``mark_container`` was called for this container."""
        try:
            with translated('the container'):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + CONTAINER_MARK)
        except errors.ObjectNotFound:
            return False
        return True

    def url(self, key: str) -> str:
        """Return the URL of an object."""
        return f's3://{self._bucket}/{urllib.parse.quote(self._prefix + check_key(key))}'

    # Of an upload.

    def begin_parts(self, key: str) -> str:
        """Begin a multipart upload; return its id."""
        with translated(key):
            return self._client.create_multipart_upload(**self._name(key))['UploadId']

    def put_part(self, key: str, upload_id: str, number: int, piece: Buffer) -> dict[str, Any]:
        """Store a part; return what names it when they are joined."""
        with translated(key):
            answer = self._client.upload_part(
                **self._name(key), UploadId=upload_id, PartNumber=number + 1, Body=bytes(piece))
        return {'ETag': answer['ETag'], 'PartNumber': number + 1}

    def join_parts(self, key: str, upload_id: str, parts: Sequence[dict[str, Any]]) -> None:
        """Make the object of the parts."""
        try:
            with translated(key):
                self._client.complete_multipart_upload(
                    **self._name(key), UploadId=upload_id,
                    MultipartUpload={'Parts': list(parts)})
        except errors.ObjectNotFound:
            # An earlier call whose answer was lost has joined them.
            if not self._exists(key):
                raise

    def drop_parts(self, key: str) -> None:
        """Drop the uploads of this key that were not joined."""
        with translated(key):
            found = self._client.list_multipart_uploads(
                Bucket=self._bucket, Prefix=self._prefix + key).get('Uploads', ())
        for row in found:
            if row['Key'] == self._prefix + key:
                with contextlib.suppress(errors.ObjectNotFound), translated(key):
                    self._client.abort_multipart_upload(
                        **self._name(key), UploadId=row['UploadId'])

    def _name(self, key: str) -> dict[str, Any]:
        return {'Bucket': self._bucket, 'Key': self._prefix + check_key(key)}

    def _exists(self, key: str) -> bool:
        try:
            self.stat(key)
        except errors.ObjectNotFound:
            return False
        return True

    def _delete_batch(self, keys: Sequence[str]) -> None:
        names = [{'Key': self._prefix + check_key(key)} for key in keys]
        try:
            with translated(keys[0]):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={'Objects': names, 'Quiet': True})
        except _NotKnownToServer:
            for key in keys:
                self.delete(key)
            return
        for row in answer.get('Errors', ()):
            if row['Code'] not in _MISSING:
                raise _error_of(row['Key'].removeprefix(self._prefix), row['Code'],
                                row.get('Message', ''), 0, {})


class _S3Upload(Upload):
    """A multipart upload. A single piece is an object like any other."""

    piece_bytes = 64 << 20

    def __init__(self, store: S3Store, key: str):
        self._store = store
        self._key = key
        self._first: bytes | None = None
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._is_done = False

    def write(self, number: int, piece: Buffer) -> None:
        if number == 0:
            self._first = bytes(piece)
            return
        if self._upload_id is None:
            self._upload_id = self._store.begin_parts(self._key)
        if not self._parts:
            self._parts.append(self._put(0, self._first or b''))
        self._parts[number:] = [self._put(number, piece)]

    def _put(self, number: int, piece: Buffer) -> dict[str, Any]:
        assert self._upload_id is not None  # set by write
        return self._store.put_part(self._key, self._upload_id, number, piece)

    def commit(self) -> None:
        if self._upload_id is None:
            self._store.put(self._key, [self._first or b''])
        elif not self._is_done:
            self._store.join_parts(self._key, self._upload_id, self._parts)
        self._is_done = True

    def abort(self) -> None:
        if self._is_done:
            return
        try:
            self._store.drop_parts(self._key)
        except errors.StoreError as error:
            LOG.warning('Parts of %s are left: %s', self._key, error)


class BucketNotFound(errors.StoreError):
    """The bucket itself does not exist."""


class _NotKnownToServer(errors.StoreError):
    """The server does not know this kind of request."""


class _BehindEnd(errors.StoreError):
    """A range begins behind the end of the object."""


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise boto3's errors as a store's; ``what`` names the object in the text."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = error.response.get('Error', {}).get('Code', '')
        message = error.response.get('Error', {}).get('Message', '')
        answer = error.response.get('ResponseMetadata', {})
        raise _error_of(what, code, message, answer.get('HTTPStatusCode', 0),
                        answer.get('HTTPHeaders', {})) from error
    except botocore.exceptions.SSLError as error:
        raise errors.StoreError(f'{what}: the certificate of the server is refused') from error
    except (botocore.exceptions.NoCredentialsError,
            botocore.exceptions.PartialCredentialsError) as error:
        raise errors.StoreDenied(f'{what}: no S3 credentials are configured') from error
    except _TRANSIENT_FAILURES as error:
        raise errors.StoreTransient(f'{what}: {_reason(error)}') from error
    except botocore.exceptions.BotoCoreError as error:
        raise errors.StoreError(f'{what}: {error}') from error


def _error_of(what: str, code: str, message: str, status: int,
              headers: Mapping[str, str]) -> errors.StoreError:
    text = f'{what}: {code} {message}'.rstrip()
    kinds = (
        (_MISSING_BUCKET, lambda: BucketNotFound(text)),
        (_MISSING, lambda: errors.ObjectNotFound(what)),
        (frozenset({'PreconditionFailed', '412'}), lambda: errors.ObjectExists(what)),
        (frozenset({'InvalidRange', '416'}), lambda: _BehindEnd(text)),
        (_FULL, lambda: errors.StoreFull(text)),
        (_TRANSIENT, lambda: errors.StoreTransient(text, _retry_after(headers))),
        (_DENIED, lambda: errors.StoreDenied(text)),
        (_UNKNOWN_CALL, lambda: _NotKnownToServer(text)),
    )
    for codes, make in kinds:
        if code in codes:
            return make()
    if status in _TRANSIENT_STATUS:
        return errors.StoreTransient(text, _retry_after(headers))
    if status in (401, 403):
        return errors.StoreDenied(text)
    if status in (413, 507):
        return errors.StoreFull(text)
    return errors.StoreError(text)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get('retry-after', '')
    return float(value) if value.isdigit() else None


def _reason(error: Exception) -> str:
    if isinstance(error, botocore.exceptions.ConnectTimeoutError
                  | botocore.exceptions.ReadTimeoutError):
        return 'no answer in time'
    if isinstance(error, botocore.exceptions.ConnectionError):
        return 'the connection failed'
    return 'the answer broke off'


def _fill(key: str, body: Any, buffer: memoryview, expected: int) -> int:
    """Read a body into ``buffer``; a body shorter than announced raises."""
    total = 0
    while total < len(buffer):
        count = body.readinto(buffer[total:])
        if not count:
            break
        total += count
    if total != expected:
        raise errors.StoreTransient(f'{key}: the answer broke off')
    return total
