"""Searches that were answered lately, and what people made of their hits."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "searches",
        sa.Column("query_id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("answered_at", sa.Double(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("first_rank", sa.Integer(), nullable=False),
        sa.Column("hits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("query_id", name="pk_searches"),
    )
    op.create_index("ix_searches_answered_at", "searches", ["target", "answered_at"])
    op.create_table(
        "judgements",
        sa.Column("query_id", sa.String(), nullable=False),
        sa.Column("image", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("judged_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("query_id", "image", name="pk_judgements"),
        sa.ForeignKeyConstraint(["query_id"], ["searches.query_id"], name="fk_judgements_query_id", ondelete="CASCADE"),
    )
    op.create_index("ix_judgements_judged_at", "judgements", ["judged_at"])
