# SPDX-License-Identifier: Apache-2.0
"""How sphinx builds the API reference."""

import importlib.metadata
import os
import sys

sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), '..', 'ext')))

extensions = ['openstackdocstheme', 'operations']

project = 'backupsvc API reference'
copyright = 'the backupsvc contributors'
release = importlib.metadata.version('backupsvc')
html_theme = 'openstackdocs'
html_theme_options = {'sidebar_mode': 'toc'}
html_last_updated_fmt = None
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_pdf_link = False
