"""Where a service answers, so that commands beside it can ask it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("owners", sa.Column("address", sa.String(), nullable=False, server_default=""))
