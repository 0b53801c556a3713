"""Commands that read make nothing."""

import pytest

from ml_api.cli import main
from ml_api.errors import NothingIndexed
from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex


@pytest.mark.parametrize(
    "command",
    [
        "keys list",
        "keys revoke 1",
        "search dog",
        "duplicates",
        "calibrate",
        "evaluate recall",
        "evaluate judgements",
        "export vectors.jsonl",
        "migrate --drop-old",
    ],
)
def test_a_command_that_reads_makes_no_database_and_says_where_it_looked(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "typo"
    assert main([*command.split(), "--data-dir", str(folder)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"error: there is no database {folder}/ml_api.sqlite3: --data-dir names another" in told.err
    assert not folder.exists()
    database = f"sqlite:///{folder}/other.sqlite3"
    monkeypatch.setenv("ML_API_DATABASE_URL", database)
    assert main(command.split()) == 2
    assert f"there is no database {folder}/other.sqlite3: ML_API_DATABASE_URL names another" in capsys.readouterr().err
    assert not folder.exists()


@pytest.fixture
def store_of(tmp_path):
    def make(collection):
        return MilvusStore(MilvusEndpoint(str(tmp_path / "milvus.db")), collection, VectorIndex(), Metrics())

    return make


def test_a_store_that_is_only_read_is_not_made_nor_a_collection(store_of, tmp_path):
    with pytest.raises(NothingIndexed, match=r"there is no vector store .*milvus\.db yet"):
        store_of("images").ensure("m@1", 4, create=False)
    assert not (tmp_path / "milvus.db").exists()
    made = store_of("images")
    made.ensure("m@1", 4)
    made.close()
    with pytest.raises(
        NothingIndexed, match=r"there is no collection 'imagse' of this application yet: .*ML_API_COLLECTION names another"
    ):
        store_of("imagse").ensure("m@1", 4, create=False)
    with pytest.raises(NothingIndexed, match="no collection 'imagse'"):
        store_of("imagse").open_current()
    again = store_of("images")
    again.ensure("m@1", 4, create=False)
    assert again.count() == 0
    again.close()
