"""Keys of the corpus that are to be looked at again."""

import sqlalchemy as sa
from alembic import op

from ml_api.database.tables import Json

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("corpus", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("notice", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("after_sync", sa.Boolean(), nullable=False),
        sa.Column("facts", Json),
        sa.PrimaryKeyConstraint("corpus", "key", name="pk_changes"),
    )
    op.create_index("ix_changes_due", "changes", ["corpus", "not_before"])
