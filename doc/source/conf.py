# SPDX-License-Identifier: Apache-2.0
"""How sphinx builds the documentation; the samples of options and policies are made on the way."""

import importlib.metadata
import os

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_policy.sphinxpolicygen',
]

project = 'backupsvc'
copyright = 'the backupsvc contributors'
release = importlib.metadata.version('backupsvc')
html_theme = 'openstackdocs'
html_static_path = ['_static']
html_last_updated_fmt = None
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_pdf_link = False
pygments_style = 'native'

config_generator_config_file = [
    (os.path.join(ROOT, 'etc', 'backupsvc', 'config-generator.conf'), '_static/backupsvc')]
policy_generator_config_file = [
    (os.path.join(ROOT, 'etc', 'backupsvc', 'policy-generator.conf'), '_static/backupsvc')]
