"""What commands have a running service do is named an operation in the options of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_JOBS = sa.table("jobs", sa.column("id", sa.Integer()), sa.column("options", sa.JSON()))


def upgrade() -> None:
    connection = op.get_bind()
    for job, options in connection.execute(sa.select(_JOBS.c.id, _JOBS.c.options)).all():
        if isinstance(options, dict) and "errand" in options:
            named = {"operation" if name == "errand" else name: value for name, value in options.items()}
            connection.execute(sa.update(_JOBS).where(_JOBS.c.id == job).values(options=named))
