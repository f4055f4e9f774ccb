# SPDX-License-Identifier: Apache-2.0
"""How alembic reaches the database: by the connection that ``db.migration`` hands over."""

import sqlalchemy
from alembic import context

from backupsvc.db import models


def _run(connection: sqlalchemy.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=models.metadata,
        compare_type=True,
        compare_server_default=False,
        # SQLite cannot alter a table; alembic copies it instead.
        render_as_batch=connection.dialect.name == 'sqlite',
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get('connection')
if connection is not None:
    _run(connection)
else:
    engine = sqlalchemy.create_engine(context.get_x_argument(as_dictionary=True)['url'])
    with engine.connect() as connection:
        _run(connection)
