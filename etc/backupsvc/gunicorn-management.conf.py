# SPDX-License-Identifier: Apache-2.0
# gunicorn -c gunicorn-management.conf.py backupsvc.cmd.wsgi:application: the management
# application, over HTTP on port 9600. The configuration is named in
# BACKUPSVC_CONFIG_FILE=/etc/backupsvc/backupsvc.conf:/etc/backupsvc/management.conf; set
# [management] token there, and put a TLS proxy in front, before another machine may reach it.
bind = '127.0.0.1:9600'
workers = 1
worker_class = 'gthread'
threads = 4
preload_app = False
# With the same in gunicorn.conf.py, requests to the public API of this host are counted in the
# metrics. The directory must be there, and empty when the host starts.
# raw_env = ['PROMETHEUS_MULTIPROC_DIR=/run/backupsvc/metrics']
graceful_timeout = 30
timeout = 120
# One line for each request is logged by the application.
accesslog = None
errorlog = '-'
