"""How long a change is left to who looks at it, whatever is told of it meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("changes", sa.Column("claimed_until", sa.Double(), nullable=False, server_default="0"))
