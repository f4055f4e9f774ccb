# SPDX-License-Identifier: Apache-2.0
"""How sphinx builds the release notes."""

import importlib.metadata

extensions = ['openstackdocstheme', 'reno.sphinxext']

project = 'backupsvc release notes'
copyright = 'the backupsvc contributors'
release = importlib.metadata.version('backupsvc')
html_theme = 'openstackdocs'
html_theme_options = {'sidebar_mode': 'toc'}
html_last_updated_fmt = None
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_pdf_link = False
