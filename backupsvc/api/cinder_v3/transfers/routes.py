# SPDX-License-Identifier: Apache-2.0
"""Rows of transfers, under their old and their new name."""

from backupsvc.api.cinder_v3 import versions
from backupsvc.api.cinder_v3.transfers import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import volumes as policies
from backupsvc.wsgi.dialect import Route, Version


def _rows(base: str, min_version: Version | None) -> list[Route]:
    def row(method, path, handler, rule, *errors):
        return Route(method, f'{base}{path}', handler, min_version=min_version,
                     policies=(rule,), errors=errors, served=are_served)

    one = '/{transfer_id}'
    return [
        row('GET', '', controller.list_transfers, policies.TRANSFER_LIST, 404),
        row('GET', '/detail', controller.list_transfer_details, policies.TRANSFER_LIST, 404),
        row('POST', '', controller.create_transfer, policies.TRANSFER_CREATE, 404),
        row('GET', one, controller.show_transfer, policies.TRANSFER_SHOW),
        row('DELETE', one, controller.delete_transfer, policies.TRANSFER_DELETE),
        row('POST', f'{one}/accept', controller.accept_transfer, policies.TRANSFER_ACCEPT, 413),
    ]


ROUTES = [
    *_rows('/os-volume-transfer', None),
    *_rows('/volume-transfers', versions.TRANSFER_SNAPSHOTS),
]
