"""What a service's syncs read, so that a command which wants something else does not have it done otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("owners", sa.Column("reading", sa.String(), nullable=False, server_default=""))
