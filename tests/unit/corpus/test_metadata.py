"""Metadata files: joined by key, broken lines reported, the others kept."""

import os
import unicodedata

import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.metadata import fingerprint
from tests.unprivileged import open_folder, without_privileges


def metadata_of(folder):
    return FolderCorpus(folder).metadata()


def test_a_corpus_without_metadata_has_none(tmp_path):
    assert metadata_of(tmp_path).by_key == {}


def test_jsonl_is_joined_by_key(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"key": "a.jpg", "caption": "a dog", "n": 1}\n\n{"key": "b.jpg"}\n')
    assert metadata_of(tmp_path).by_key == {"a.jpg": {"caption": "a dog", "n": 1}, "b.jpg": {}}


def test_csv_is_joined_by_key(tmp_path):
    (tmp_path / "metadata.csv").write_text('key,caption\na.jpg,"a dog, running"\n')
    assert metadata_of(tmp_path).by_key == {"a.jpg": {"caption": "a dog, running"}}


def test_a_broken_line_is_reported_and_hides_no_other(tmp_path):
    (tmp_path / "metadata.jsonl").write_bytes(b'{"key": "a.jpg"}\n{nope\n[1]\n{"caption": "no key"}\n\xff\xfe\n{"key": "b.jpg"}\n')
    metadata = metadata_of(tmp_path)
    assert set(metadata.by_key) == {"a.jpg", "b.jpg"}
    assert [problem.split(":")[0] for problem in metadata.problems] == [f"metadata.jsonl, line {n}" for n in (2, 3, 4, 5)]


def test_the_fingerprint_follows_the_content_not_the_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1})
    assert fingerprint({}) == ""


def broken(metadata):
    return [problem.partition(":")[0] for problem in metadata.problems]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('b.jpg,"never closed', "not CSV"),
        ('b.jpg,"closed" too early"', "not CSV"),
        (f"b.jpg,{'x' * 131_073}", "field larger than field limit"),
        (f'b.jpg,"{"x" * 200_000}"', "field larger than field limit"),
        ("b.jpg,nul\0", ""),
    ],
)
@pytest.mark.parametrize("after", ["", 'd.jpg,"a dog, running"\ne.jpg,"two\nlines"\n'])
def test_a_broken_row_of_csv_is_one_problem_and_the_others_are_read(tmp_path, line, wrong, after):
    (tmp_path / "metadata.csv").write_text(f"key,caption\na.jpg,one\n{line}\nc.jpg,three\n{after}")
    metadata = metadata_of(tmp_path)
    assert broken(metadata) == (["metadata.csv, line 3"] if wrong else [])
    assert all(wrong in problem for problem in metadata.problems)
    assert metadata.by_key["a.jpg"] == {"caption": "one"}
    assert metadata.by_key["c.jpg"] == {"caption": "three"}
    if after:
        assert metadata.by_key["d.jpg"] == {"caption": "a dog, running"}
        assert metadata.by_key["e.jpg"] == {"caption": "two\nlines"}


def test_a_problem_after_rows_of_several_lines_names_the_right_one(tmp_path):
    (tmp_path / "metadata.csv").write_text('key,caption\na.jpg,"one\ntwo\nthree"\nb.jpg,"open\nc.jpg,x\n')
    assert broken(metadata_of(tmp_path)) == ["metadata.csv, line 5"]


def test_json_nested_too_deeply_is_one_problem_and_the_others_are_read(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"key": "a.jpg"}\n' + "[" * 100_000 + '\n{"key": "b.jpg"}\n')
    metadata = metadata_of(tmp_path)
    assert metadata.problems == ("metadata.jsonl, line 2: JSON nested too deeply",)
    assert set(metadata.by_key) == {"a.jpg", "b.jpg"}


ROWS = [("Key", "caption"), ("café.jpg", "Grün, rot; blau"), ("b.jpg", "zwei")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_understood(tmp_path, delimiter, encoding, newline):
    text = newline.join(delimiter.join(f'"{cell}"' for cell in row) for row in ROWS)
    (tmp_path / "metadata.csv").write_bytes(text.encode(encoding))
    metadata = metadata_of(tmp_path)
    assert metadata.by_key == {"café.jpg": {"caption": "Grün, rot; blau"}, "b.jpg": {"caption": "zwei"}}
    assert not metadata.problems


def test_jsonl_may_be_utf_16_and_say_key_in_any_case(tmp_path):
    (tmp_path / "metadata.jsonl").write_bytes('{" KEY ": "ä.jpg", "n": 1}\n'.encode("utf-16"))
    assert metadata_of(tmp_path).by_key == {"ä.jpg": {"n": 1}}


def test_columns_without_a_key_are_named_in_one_message(tmp_path):
    (tmp_path / "metadata.csv").write_text("file;caption\n" + "a.jpg;x\n" * 500)
    [problem] = metadata_of(tmp_path).problems
    assert problem == "metadata.csv: it has no column \"key\"; its columns are 'file', 'caption'"


def test_many_broken_lines_are_counted(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"name": "a.jpg"}\n' * 100_000)
    problems = metadata_of(tmp_path).problems
    assert problems[0] == "metadata.jsonl, line 1: no text under \"key\", only 'name'"
    assert problems[-1] == "metadata.jsonl: 99,980 more lines that cannot be used"
    assert len(problems) == 21


def test_keys_are_read_in_one_form_of_unicode(tmp_path):
    (tmp_path / "metadata.csv").write_text(f"key,n\n{unicodedata.normalize('NFD', 'café.jpg')},1\n")
    assert metadata_of(tmp_path).by_key == {unicodedata.normalize("NFC", "café.jpg"): {"n": "1"}}


def test_a_file_that_cannot_be_read_is_a_problem_and_the_other_is_read():
    with open_folder() as folder:
        (folder / "metadata.csv").write_text("key,n\na.jpg,1\n")
        (folder / "metadata.jsonl").write_text('{"key": "b.jpg"}')
        (folder / "metadata.csv").chmod(0)
        with without_privileges():
            metadata = metadata_of(folder)
    [problem] = metadata.problems
    assert "metadata.csv cannot be read: Permission denied" in problem
    assert set(metadata.by_key) == {"b.jpg"}
    assert not metadata.complete


def test_a_pipe_called_metadata_is_none(tmp_path):
    os.mkfifo(tmp_path / "metadata.csv")
    assert metadata_of(tmp_path).by_key == {}
