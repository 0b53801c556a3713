"""Metadata files: joined by key, broken lines reported, the others kept."""

from ml_api.corpus.metadata import fingerprint, read_metadata


def test_a_corpus_without_metadata_has_none(tmp_path):
    assert read_metadata(tmp_path).by_key == {}


def test_jsonl_is_joined_by_key(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"key": "a.jpg", "caption": "a dog", "n": 1}\n\n{"key": "b.jpg"}\n')
    assert read_metadata(tmp_path).by_key == {"a.jpg": {"caption": "a dog", "n": 1}, "b.jpg": {}}


def test_csv_is_joined_by_key(tmp_path):
    (tmp_path / "metadata.csv").write_text('key,caption\na.jpg,"a dog, running"\n')
    assert read_metadata(tmp_path).by_key == {"a.jpg": {"caption": "a dog, running"}}


def test_a_broken_line_is_reported_and_hides_no_other(tmp_path):
    (tmp_path / "metadata.jsonl").write_bytes(b'{"key": "a.jpg"}\n{nope\n[1]\n{"caption": "no key"}\n\xff\xfe\n{"key": "b.jpg"}\n')
    metadata = read_metadata(tmp_path)
    assert set(metadata.by_key) == {"a.jpg", "b.jpg"}
    assert [problem.split(":")[0] for problem in metadata.problems] == [f"metadata.jsonl, line {n}" for n in (2, 3, 4, 5)]


def test_the_fingerprint_follows_the_content_not_the_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1})
    assert fingerprint({}) == ""
