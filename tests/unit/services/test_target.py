"""A data folder that is moved, copied or restored at another path: what the database says of the store is found there."""

import shutil
from contextlib import closing

import pytest
from sqlalchemy import func, select

from ml_api.database.tables import CalibrationRow, JobRow, JudgementRow, OwnerRow, SearchRow, TextRow
from ml_api.feedback import Verdicts
from ml_api.services.target import follow_store, target_of
from ml_api.settings import load_settings
from ml_api.texts import TextIndex
from ml_api.texts.index import Lookup
from tests.databases import new_database

IMAGE = "ab" * 16


def opened(folder):
    folder.mkdir(exist_ok=True)
    return closing(new_database(folder / "ml_api.sqlite3"))


def settings_of(folder, **more):
    return load_settings({"ML_API_DATA_DIR": str(folder)} | more)


def fill(database, target, query_id="q1", word="boat", job=1):
    """A judged search, a calibration, a sync that is over, the words of an image, and a process that is there."""
    with database.write() as session:
        search = {"answered_at": 1.0, "model": "m", "query": '{"query": [{"text": "a boat"}]}', "first_rank": 1}
        session.add(SearchRow(query_id=query_id, target=target, hits=bytes.fromhex(IMAGE), **search))
        session.flush()
        session.add(JudgementRow(query_id=query_id, image=IMAGE, verdict="relevant", judged_at=2.0))
        about = {"version": 1, "made_at": float(job), "images": 1, "measures": {}, "content": b""}
        session.add(CalibrationRow(target=target, model="m", modality="text", **about))
        over = {"state": "succeeded", "options": {}, "requested_at": 1.0, "report": {}}
        session.add(JobRow(id=job, target=target, corpus="/images", **over))
        session.add(TextRow(target=target, image=IMAGE, mark="v1", words=word))
        session.add(OwnerRow(name=f"process {job}", target=target, corpus="/images", model="m"))


def judged(database, target):
    return [(verdict.query_id, verdict.image_id) for verdict in Verdicts(database, target).all()]


def found(database, target, word):
    return set(TextIndex(database, target).find([Lookup([word], most=10)])[0].images)


def number_of(database, table, target):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(table.target == target))


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_what_is_said_of_a_store_is_found_where_its_folder_is_now(how, tmp_path):
    before, now = tmp_path / "before", tmp_path / "restored here"
    with opened(before) as database:
        (before / "milvus.db").mkdir()
        fill(database, target_of(settings_of(before)))
    how(before, now)
    settings = settings_of(now)
    with opened(now) as database:
        follow_store(settings, database)
        target = target_of(settings)
        assert judged(database, target) == [("q1", IMAGE)]
        assert found(database, target, "boat") == {IMAGE}
        assert [number_of(database, table, target) for table in (CalibrationRow, JobRow, TextRow, SearchRow)] == [1, 1, 1, 1]
        assert number_of(database, OwnerRow, target_of(settings_of(before))) == 0, "who had the store there has not this one"


def test_what_was_made_at_the_present_path_counts(tmp_path):
    """As a service of an earlier version left it, which had made anew what it did not find."""
    now = tmp_path / "now"
    settings = settings_of(now)
    with opened(now) as database:
        fill(database, target_of(settings_of(tmp_path / "before")), "q1", word="boat", job=1)
        fill(database, target_of(settings), "q2", word="ship", job=2)
        follow_store(settings, database)
        target = target_of(settings)
        assert judged(database, target) == [("q1", IMAGE), ("q2", IMAGE)]
        assert found(database, target, "ship") == {IMAGE}
        assert not found(database, target, "boat")
        with database.read() as session:
            assert session.scalars(select(CalibrationRow.made_at)).all() == [2.0]
            assert session.scalars(select(TextRow.target)).all() == [target]


@pytest.mark.parametrize(
    "other",
    [
        {"ML_API_MILVUS_URI": "http://milvus:19530"},
        {"ML_API_COLLECTION": "others"},
        {"ML_API_MILVUS_URI": "{}/elsewhere/other.db"},
        {"ML_API_MILVUS_URI": "{}/in use/milvus.db"},
    ],
    ids=["a server", "another collection", "another store", "a store that shares the database"],
)
def test_what_is_said_of_another_store_stays_its_own(other, tmp_path):
    now = tmp_path / "now"
    (tmp_path / "in use" / "milvus.db").mkdir(parents=True)
    others = settings_of(now, **{name: value.format(tmp_path) for name, value in other.items()})
    with opened(now) as database:
        fill(database, target_of(others))
        follow_store(settings_of(now), database)
        assert judged(database, target_of(others)) == [("q1", IMAGE)]
        assert number_of(database, OwnerRow, target_of(others)) == 1


def test_a_database_that_lies_elsewhere_does_not_tell_that_a_store_was_moved(tmp_path):
    before, now = (settings_of(tmp_path / name, ML_API_DATABASE_URL=f"sqlite:///{tmp_path}/common/ml_api.sqlite3") for name in "ab")
    with opened(tmp_path / "common") as database:
        fill(database, target_of(before))
        follow_store(now, database)
        assert judged(database, target_of(before)) == [("q1", IMAGE)]
