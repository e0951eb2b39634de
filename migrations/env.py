"""Alembic's entry: the URL comes from the caller (`shared.store.db.migrate`) or from the settings."""

from alembic import context

from shared.settings import settings
from shared.store.db import engine
from shared.store.tables import metadata

config = context.config
url = config.attributes.get("url") or settings().database_url
if url is None:
    raise SystemExit("DATABASE_URL is not set")

with engine(str(url)).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
