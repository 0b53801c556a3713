"""What Alembic runs for each upgrade: the connection, and its transaction, are those of `Database.open`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False, render_as_batch=True)
context.run_migrations()
