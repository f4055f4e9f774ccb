# SPDX-License-Identifier: Apache-2.0
"""Rows of actions on volumes."""

from collections.abc import Callable

from backupsvc.api.cinder_v3.volume_actions import controller
from backupsvc.orchestration.volumes import are_served
from backupsvc.policies import volumes as policies
from backupsvc.wsgi.dialect import Route


def _action(name: str, handler: Callable, rule: str, *errors: int) -> Route:
    return Route('POST', '/volumes/{volume_id}/action', handler, action=name, policies=(rule,),
                 errors=errors, served=are_served)


ROUTES = [
    _action('os-extend', controller.extend, policies.EXTEND, 413),
    _action('os-reset_status', controller.reset_status, policies.RESET_STATUS),
    _action('os-force_delete', controller.force_delete, policies.FORCE_DELETE),
    _action('os-set_bootable', controller.set_bootable, policies.UPDATE),
    _action('os-update_readonly_flag', controller.update_readonly, policies.UPDATE_READONLY),
    _action('os-retype', controller.retype, policies.RETYPE),
    _action('os-reserve', controller.reserve, policies.RESERVE),
    _action('os-unreserve', controller.unreserve, policies.UNRESERVE),
    _action('os-begin_detaching', controller.begin_detaching, policies.BEGIN_DETACHING),
    _action('os-roll_detaching', controller.roll_detaching, policies.ROLL_DETACHING),
    _action('os-attach', controller.attach, policies.ATTACH),
    _action('os-detach', controller.detach, policies.DETACH),
    _action('os-force_detach', controller.force_detach, policies.FORCE_DETACH),
    _action('os-show_image_metadata', controller.show_image_metadata,
            policies.IMAGE_METADATA_SHOW),
    _action('os-set_image_metadata', controller.set_image_metadata, policies.IMAGE_METADATA_SET),
    _action('os-unset_image_metadata', controller.unset_image_metadata,
            policies.IMAGE_METADATA_REMOVE),
]
