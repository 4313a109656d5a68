"""What Alembic runs: `policy_engine.store.migrate` hands over a connection that is inside its transaction."""

from alembic import context

from policy_engine.store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `policy-engine db upgrade`")

context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
