# SPDX-License-Identifier: Apache-2.0
"""Have the server of a database instance let in whom the rules of its security group name."""

from backupsvc import exception
from backupsvc.manager import databases, failures
from backupsvc.manager.work import Work


def run(work: Work) -> None:
    """Apply the rules as they are now."""
    work.step('rules')
    try:
        databases.apply_rules(work.context, work.task.resource_id)
    except (exception.SecurityGroupNotFound, exception.DatabaseServerNotFound):
        pass  # the instance is gone, or was never made
    work.persist(work.task.finish)


def fail(work: Work, failure: failures.Failure) -> None:
    """Say so in the task; the rules are applied with the next change, or at the next start."""
    work.persist(lambda: work.task.fail(failure.reason))


def cancel(work: Work) -> None:
    """Leave the server as it is; nobody asks for it yet."""
    work.persist(work.task.cancel)
