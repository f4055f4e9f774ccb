# SPDX-License-Identifier: Apache-2.0
"""Options of the s3 repository driver."""

from oslo_config import cfg

GROUP = 'repository_s3'

OPTS = [
    cfg.StrOpt('bucket', default='backupsvc', help='''
Bucket of the repositories; "{project_id}" in it is replaced, which gives each project a bucket of
its own. Inside it every key begins with the project and the container, so all may share one.
After a change, backups made before are no longer found: copy the bucket first.
'''),
    cfg.URIOpt('endpoint_url', schemes=['http', 'https'], help='''
URL of the S3 server. Not set, Amazon's endpoint of the region is used.
'''),
    cfg.StrOpt('region_name', default='us-east-1', help='''
Region that requests are signed for, and where buckets are made. A server that is not Amazon's
mostly takes any.
'''),
    cfg.StrOpt('access_key', help='''
Access key id. Not set, the usual places of boto3 are searched: environment, ~/.aws, the instance.
'''),
    cfg.StrOpt('secret_key', secret=True, help='''
Secret of the access key.
'''),
    cfg.StrOpt('addressing_style', default='auto', choices=['auto', 'path', 'virtual'], help='''
Whether the bucket is named in the path of the URL or in its host name. "path" for servers whose
buckets have no DNS names.
'''),
    cfg.StrOpt('ca_file', help='''
File with the certificates that the server's one is checked against, in place of the system's.
'''),
    cfg.BoolOpt('conditional_writes', default=True, help='''
Let the server decide whether an object exists already (If-None-Match), which makes locks safe
against races. Set to false for a server that takes the header but lets two that race both win, as
Swift's S3 API does; it is then asked before the put.
'''),
    cfg.FloatOpt('connect_timeout', default=10.0, min=0.1, help='''
Seconds to wait for a connection before an attempt counts as failed and is repeated.
'''),
    cfg.FloatOpt('read_timeout', default=60.0, min=0.1, help='''
Seconds to wait for the next bytes of an answer before an attempt counts as failed and is repeated.
'''),
    cfg.IntOpt('connections', default=16, min=1, help='''
Idle connections that each process keeps open. Fewer than the threads of a backup or restore makes
each request open a new one.
'''),
]
