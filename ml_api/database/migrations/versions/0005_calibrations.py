"""Calibrations of scores."""

import sqlalchemy as sa
from alembic import op

from ml_api.database.tables import Json

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("judgement", Json, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("target", "model", "modality", name="pk_calibrations"),
    )
