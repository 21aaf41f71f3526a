"""Runs migrations on the connection that storage/schema.py hands over."""

from alembic import context
from sqlalchemy import Connection

from postrider.storage.base import Base

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
