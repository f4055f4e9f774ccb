# SPDX-License-Identifier: Apache-2.0
"""Use cases of flavors: the sizes of server that databases can be kept on."""

from collections.abc import Sequence

from backupsvc.context import RequestContext
from backupsvc.drivers import loader
from backupsvc.drivers.base import DatabaseFlavor
from backupsvc.policies import databases as policies


def list_(context: RequestContext) -> Sequence[DatabaseFlavor]:
    """Return the flavors, in the order of the configuration."""
    context.authorize(policies.FLAVORS)
    return loader.database_driver().list_flavors()


def get(context: RequestContext, flavor_id: str) -> DatabaseFlavor:
    """Return a flavor.

    :raises DatabaseFlavorNotFound: none has this id
    """
    context.authorize(policies.FLAVORS)
    return loader.database_driver().show_flavor(flavor_id)
