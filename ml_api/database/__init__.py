"""The service's own state, apart from images and vectors: SQLite by default, PostgreSQL by one setting.

Tables stand in `tables`, their history in `migrations`. What a room keeps here it reads and writes itself, in transactions of
`Database`; there is no second layer of objects over the rows.
"""

from ml_api.database.engine import Database, missing_file

__all__ = ["Database", "missing_file"]
