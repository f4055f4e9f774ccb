# SPDX-License-Identifier: Apache-2.0
# gunicorn -c gunicorn.conf.py backupsvc.cmd.wsgi:application: the public API, over HTTP on port
# 8110. Put a TLS proxy in front (and [oslo_middleware] enable_proxy_headers_parsing = true in
# backupsvc.conf). The configuration is named in BACKUPSVC_CONFIG_FILE when it is not in
# /etc/backupsvc.
bind = '127.0.0.1:8110'
workers = 4
# Requests at the same time in each worker; forwarded downloads hold one each.
worker_class = 'gthread'
threads = 8
# Each worker builds its own application: connections and threads do not survive a fork.
preload_app = False
# Counts the requests of all workers for the management application; see
# gunicorn-management.conf.py.
# raw_env = ['PROMETHEUS_MULTIPROC_DIR=/run/backupsvc/metrics']
# Requests in flight are ended on SIGTERM, for so many seconds.
graceful_timeout = 30
timeout = 120
# One line for each request is logged by the application.
accesslog = None
errorlog = '-'
