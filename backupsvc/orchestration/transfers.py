# SPDX-License-Identifier: Apache-2.0
"""Use cases of transfers: a volume goes from one project to another that knows its key."""

from collections.abc import Sequence

from backupsvc.context import RequestContext
from backupsvc.drivers.base import Transfer
from backupsvc.objects import quota
from backupsvc.orchestration import volumes
from backupsvc.policies import volumes as policies


def create(context: RequestContext, volume_id: str, *, name: str | None,
           no_snapshots: bool) -> Transfer:
    """Offer a volume.

    :raises InvalidVolume: it is not available
    """
    volumes.get(context, volume_id, policies.TRANSFER_CREATE)
    return volumes.local().create_transfer(
        context, volume_id, name=name, no_snapshots=no_snapshots)


def list_(context: RequestContext, query: volumes.Query) -> Sequence[Transfer]:
    """Return one page of offers.

    :raises TransferNotFound: the marker is not visible
    """
    context.authorize(policies.TRANSFER_LIST)
    return volumes.local().list_transfers(context, query.visible(context))


def get(context: RequestContext, transfer_id: str) -> Transfer:
    """Return an offer.

    :raises TransferNotFound: there is none of a volume of the caller's
    """
    context.authorize(policies.TRANSFER_SHOW)
    return volumes.local().show_transfer(context, transfer_id)


def delete(context: RequestContext, transfer_id: str) -> None:
    """Withdraw an offer.

    :raises TransferNotFound: there is none of a volume of the caller's
    """
    context.authorize(policies.TRANSFER_DELETE)
    volumes.local().delete_transfer(context, transfer_id)


def accept(context: RequestContext, transfer_id: str, auth_key: str) -> Transfer:
    """Take a volume over into the caller's project.

    :raises TransferNotFound: there is no such offer
    :raises InvalidInput: the key is wrong
    :raises OverQuota: the project may hold no more
    """
    context.authorize(policies.TRANSFER_ACCEPT)
    limits = quota.limits_for(context, volumes.own_project(context))
    return volumes.local().accept_transfer(context, transfer_id, auth_key, limits=limits)
