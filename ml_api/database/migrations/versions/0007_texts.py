"""What is said of images in words, and the index of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

SQLITE = """
CREATE VIRTUAL TABLE texts_words
USING fts5(words, content='texts', content_rowid='number', tokenize='ascii', detail='none', columnsize=0);

CREATE TRIGGER texts_words_added AFTER INSERT ON texts BEGIN
INSERT INTO texts_words(rowid, words) VALUES (new.number, new.words); END;

CREATE TRIGGER texts_words_removed AFTER DELETE ON texts BEGIN
INSERT INTO texts_words(texts_words, rowid, words) VALUES ('delete', old.number, old.words); END;

CREATE TRIGGER texts_words_changed AFTER UPDATE OF words ON texts BEGIN
INSERT INTO texts_words(texts_words, rowid, words) VALUES ('delete', old.number, old.words);
INSERT INTO texts_words(rowid, words) VALUES (new.number, new.words); END;
"""
POSTGRESQL = "CREATE INDEX texts_words ON texts USING gin (array_to_tsvector(string_to_array(words, ' ')))"


def upgrade() -> None:
    op.create_table(
        "texts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("image", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("announced", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_texts"),
        sa.UniqueConstraint("target", "image", name="uq_texts_target"),
    )
    waiting = sa.text("announced <> ''")
    op.create_index("ix_texts_announced", "texts", ["target"], sqlite_where=waiting, postgresql_where=waiting)
    statements = SQLITE.strip().split("\n\n") if op.get_bind().dialect.name == "sqlite" else [POSTGRESQL]
    for statement in statements:
        op.execute(statement)
