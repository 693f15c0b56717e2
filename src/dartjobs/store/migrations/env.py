"""Alembic's entry: it runs on the connection that `store.migrate` hands over."""

from alembic import context

from dartjobs.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
