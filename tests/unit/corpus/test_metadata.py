"""Metadata files: joined by key, broken lines reported, the others kept."""

import json
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.metadata import Catalogue, fingerprint
from ml_api.corpus.metadata.text import MAX_LINE
from tests.files.metadata_files import ReadMetadata
from tests.unprivileged import open_folder, without_privileges

metadata_of = ReadMetadata


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
        (f"b.jpg,{'x' * 131_073}", "a record of more than 131,072 characters"),
        (f'b.jpg,"{"x" * 200_000}"', "a record of more than 131,072 characters"),
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
    assert metadata_of(tmp_path).by_key == {unicodedata.normalize("NFC", "café.jpg"): {"n": 1}}


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


def test_a_key_that_comes_again_is_named_and_the_first_row_counts(tmp_path):
    (tmp_path / "metadata.csv").write_text("key,n\na.jpg,1\nb.jpg,2\na.jpg,3\na.jpg,4\n")
    metadata = metadata_of(tmp_path)
    assert metadata.by_key == {"a.jpg": {"n": 1}, "b.jpg": {"n": 2}}
    assert metadata.problems == (
        "metadata.csv, line 4: 'a.jpg' is the key of line 2 already, which counts",
        "metadata.csv, line 5: 'a.jpg' is the key of line 2 already, which counts",
    )


def test_many_repeated_keys_are_counted(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"key": "a.jpg"}\n' * 1000)
    problems = metadata_of(tmp_path).problems
    assert len(problems) == 21
    assert problems[-1] == "metadata.jsonl: 979 more lines repeat a key"


def test_a_row_with_more_values_than_columns_is_broken(tmp_path):
    (tmp_path / "metadata.csv").write_text("key,caption,n\na.jpg,a dog, running,1\nb.jpg,a cat,2,,\nc.jpg,short\n")
    metadata = metadata_of(tmp_path)
    assert metadata.by_key == {"b.jpg": {"caption": "a cat", "n": 2}, "c.jpg": {"caption": "short"}}
    assert metadata.problems == ("metadata.csv, line 2: 4 values for 3 columns; one that holds ',' belongs in quotes",)


def test_sources_add_to_each_other_and_the_later_one_counts(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"key": "a.jpg", "from": "jsonl", "j": 1}\n')
    (tmp_path / "metadata.csv").write_text("key,from,c\na.jpg,csv,1\n")
    (tmp_path / "export.csv").write_text("id,from\na,catalogue\n")
    assert metadata_of(tmp_path).by_key["a.jpg"] == {"from": "csv", "j": 1, "c": 1}
    metadata = metadata_of(tmp_path, catalogue=Catalogue(str(tmp_path / "export.csv")))
    assert metadata.by_key["a.jpg"] == {"from": "catalogue", "j": 1, "c": 1, "id": "a"}


@pytest.mark.parametrize("field", ["key", "id", "product_id", "SKU"])
@pytest.mark.parametrize("product", ["1234", "shoe-7.b", "Ü"])
def test_a_row_is_joined_by_the_name_of_the_file_without_its_ending(tmp_path, field, product):
    (tmp_path / "metadata.csv").write_text(f"{field},name\n{product},shoe\n")
    with FolderCorpus(tmp_path).metadata() as metadata:
        for key in (f"{product}.jpg", f"shop/{product}.webp", f"a/b/{unicodedata.normalize('NFD', product)}.png"):
            assert metadata.of(key)["name"] == "shoe"
        for key in (f"{product}.jpg.png", f"x{product}.jpg", product.lower() + "x.jpg"):
            assert metadata.of(key) == {}


@pytest.mark.parametrize("product", ["1234", "shoe-7.b", "Ü"])
def test_a_row_is_joined_to_every_image_of_its_folder(tmp_path, product):
    (tmp_path / "metadata.csv").write_text(f"sku,name\n{product},shoe\n")
    with FolderCorpus(tmp_path).metadata() as metadata:
        for key in (f"{product}/1.jpg", f"shop/{product}/front.webp", f"a/{unicodedata.normalize('NFD', product)}/b.png"):
            assert metadata.of(key)["name"] == "shoe"
        for key in (f"{product}/more/1.jpg", f"x{product}/1.jpg", "1.jpg"):
            assert metadata.of(key) == {}
        assert metadata.without_image(lambda _: False) == (0, 1, [])


def test_the_name_counts_more_than_the_folder(tmp_path):
    (tmp_path / "metadata.csv").write_text("key,n\nshoes,1\na,2\nshoes/b.jpg,3\n")
    with FolderCorpus(tmp_path).metadata() as metadata:
        assert [metadata.of(f"shoes/{name}.jpg")["n"] for name in "abc"] == [2, 3, 1]


def test_a_row_without_a_name_is_of_no_image_in_the_root(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"key": "", "n": 1}\n{"key": "b", "n": 2}\n')
    with FolderCorpus(tmp_path).metadata() as metadata:
        assert metadata.of("a.jpg") == {}


def test_numbers_are_product_ids_too(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"id": 1234, "name": "shoe"}\n{"id": true}\n{"id": 1.5}\n')
    with FolderCorpus(tmp_path).metadata() as metadata:
        assert metadata.of("shop/1234.jpg") == {"id": 1234, "name": "shoe"}
        assert [problem.partition(":")[0] for problem in metadata.problems] == ["metadata.jsonl, line 2", "metadata.jsonl, line 3"]


def test_the_key_counts_more_than_the_name(tmp_path):
    (tmp_path / "metadata.csv").write_text("key,n\na,1\nx/a.jpg,2\n")
    with FolderCorpus(tmp_path).metadata() as metadata:
        assert metadata.of("x/a.jpg") == {"n": 2}
        assert metadata.of("y/a.jpg") == {"n": 1}


def test_keys_of_no_image_are_counted_with_the_first_of_them(tmp_path):
    (tmp_path / "metadata.csv").write_text("key,n\n" + "".join(f"{number:03}.jpg,1\n" for number in range(100)) + "stem,1\n")
    with FolderCorpus(tmp_path).metadata() as metadata:
        for key in ("000.jpg", "stem.jpg", "not there.jpg"):
            metadata.of(key)
        assert metadata.without_image(lambda key: key == "001.jpg") == (98, 101, ["002.jpg", "003.jpg", "004.jpg"])


HOSTILE = [
    "x" * 4096 + ".jpg",
    "a\nb.jpg",
    "' OR 1 = 1 --.jpg",
    "\udcff.jpg",
    "",
    "nul\0.jpg",
    "../../etc/passwd",
    "😀.jpg",
    "/",
    ".",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_any_text_can_be_a_key(tmp_path, key):
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"key": key, "n": 1}) + '\n{"key": "other.jpg", "n": 2}\n')
    with FolderCorpus(tmp_path).metadata() as metadata:
        assert metadata.of(key) == {"n": 1}
        assert metadata.of("other.jpg") == {"n": 2}
        assert metadata.of("more " + key) == {}


def test_a_line_without_an_end_is_one_problem(tmp_path):
    (tmp_path / "metadata.jsonl").write_bytes(b'{"key": "a.jpg"}\n' + b"x" * (3 * MAX_LINE) + b'\n{"key": "b.jpg"}\n')
    (tmp_path / "metadata.csv").write_bytes(("key\n" + "y" * (2 * MAX_LINE + 5) + "\nc.jpg\n").encode("utf-16"))
    metadata = metadata_of(tmp_path)
    assert set(metadata.by_key) == {"a.jpg", "b.jpg", "c.jpg"}
    assert broken(metadata) == ["metadata.jsonl, line 2", "metadata.csv, line 2"]


def test_metadata_may_be_asked_for_from_many_threads(tmp_path):
    (tmp_path / "metadata.csv").write_text("key,n\n" + "".join(f"{number}.jpg,{number}\n" for number in range(1000)))
    with FolderCorpus(tmp_path).metadata() as metadata, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(metadata.of, (f"{number}.jpg" for number in range(1000))))
    assert found == [{"n": number} for number in range(1000)]
