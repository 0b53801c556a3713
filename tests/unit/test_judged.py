"""Judged queries from files and from feedback, and what is measured of rankings with them."""

import json

import numpy as np
import pytest

from ml_api.errors import InvalidInput
from ml_api.evaluation.judged import JudgedQuery, read
from ml_api.evaluation.measuring import compared
from ml_api.feedback import Judgement, judged_texts
from ml_api.records import image_id
from ml_api.vocabulary import Verdict

A, B, C = map(image_id, "abc")


def written(tmp_path, *lines):
    path = tmp_path / "judged.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_lines_of_one_query_belong_together_and_those_without_a_match_are_left_out(tmp_path):
    filtered = {"query": [{"text": "blue"}], "filter": {"width": 1}}
    path = written(
        tmp_path,
        {"text": "red", "key": "a"},
        "",
        {"text": " red ", "id": B, "grade": 0},
        {"text": "red", "keys": ["c", "a"], "grade": 3},
        {"query": filtered, "id": A, "query_id": "x"},
        {"text": "nothing", "key": "a", "grade": 0},
    )
    red, blue = read(path)
    assert (red.request, red.grades) == ({"query": [{"text": "red"}]}, {A: 3, B: 0, C: 3})
    assert (blue.name, blue.request, blue.grades) == ("x", filtered, {A: 1})


def test_a_query_that_nothing_matches_is_left_out(tmp_path):
    """`evaluate relevance` needs such lines, and the same file was refused here."""
    path = written(tmp_path, {"text": "red", "keys": ["a"]}, {"text": "zebra", "keys": []})
    assert [query.request["query"][0]["text"] for query in read(path)] == ["red"]


def test_qrels_of_trec_are_read_with_their_topics(tmp_path):
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tred\n2\tblue car\n", encoding="utf-8")
    path = written(tmp_path, "1 0 a 2", f"2 0 {B} 1", "2 0 c -1")
    assert [(query.request["query"][0]["text"], query.grades) for query in read(path, topics)] == [
        ("red", {A: 2}),
        ("blue car", {B: 1, C: 0}),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2: is no JSON; each line is an object"),
        ("[" * 100_000, "line 2: is no JSON"),
        ("[]", "line 2: must be an object"),
        ('{"text": "red", "key": "\\ud800"}', "line 2: holds a lone surrogate"),
        ({"key": "a"}, 'line 2: has neither a "text" nor a "query"'),
        ({"text": "red"}, 'line 2: names no image; add its "key"'),
        ({"text": "red", "key": 3}, 'line 2: "key" and "id" are texts'),
        ({"text": "red", "id": "dogs/rex.jpg"}, 'line 2: "id" must be 32 lower-case hex digits'),
        ({"text": "red", "key": "a", "grade": "1"}, 'line 2: "grade" must be a whole number from 0'),
        ({"text": "red", "key": "a", "grade": True}, 'line 2: "grade" must be'),
        ({"text": "red", "key": "a", "grade": -1}, 'line 2: "grade" must be'),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, says):
    with pytest.raises(InvalidInput, match=r"judged\.jsonl") as refused:
        read(written(tmp_path, {"text": "red", "key": "a"}, line))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 0 a", "must be `QUERY 0 IMAGE GRADE`"),
        ("1 0 a x", "must be `QUERY 0"),
        ("1 0 a ²", "must be `QUERY 0"),
        ("1 0 a --3", "must be `QUERY 0"),
        ("9 0 a 1", "the query '9' has no text among"),
    ],
)
def test_a_bad_line_of_qrels_is_named(tmp_path, line, says):
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tred\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as refused:
        read(written(tmp_path, "1 0 a 1", line), topics)
    assert "line 2: " in str(refused.value)
    assert says in str(refused.value)


def test_what_has_no_match_at_all_and_what_is_no_text_is_said(tmp_path):
    with pytest.raises(InvalidInput, match="no query has an image that is relevant"):
        read(written(tmp_path, {"text": "red", "key": "a", "grade": 0}))
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="is no text in UTF-8"):
        read(path)


def query(**grades):
    return JudgedQuery("q", {}, grades)


def test_measures_are_those_of_the_textbook():
    [found] = compared([query(a=1, b=2, c=0)], {"one": [["c", "a", "x", "b"]]}, 2).values()
    assert found["precision@2"].mean == 0.5
    assert found["recall@2"].mean == 0.5
    assert found["MRR"].mean == 0.5
    assert found["nDCG@2"].mean == pytest.approx((1 / np.log2(3)) / (2 + 1 / np.log2(3)))
    assert found["judged@2"].mean == 1


def test_a_setup_is_compared_with_the_first_query_by_query():
    queries = [query(a=1)] * 20
    better, worse = [["a"]] * 20, [["x", "a"]] * 16 + [["x"]] * 4
    found = compared(queries, {"better": better, "same": better, "worse": worse, "nothing": [[]] * 20}, 1)
    assert found["better"]["MRR"].p is None
    assert found["same"]["MRR"].p == 1
    assert found["worse"]["MRR"].mean == pytest.approx(0.4)
    assert found["worse"]["MRR"].low < 0.4 < found["worse"]["MRR"].high
    assert found["worse"]["MRR"].p < 0.01
    assert found["nothing"]["precision@1"].mean == 0


def judgement(image, verdict, asked, at=1.0):
    return Judgement("q", image, verdict, "", at, "m", asked, 1)


def test_feedback_on_plain_texts_is_told_by_text():
    red = {"query": [{"text": "red"}]}
    found = judged_texts(
        [
            judgement(A, Verdict.RELEVANT, red, 3.0),
            judgement(A, Verdict.IRRELEVANT, red, 2.0),
            judgement(B, Verdict.IRRELEVANT, red),
            judgement(A, Verdict.RELEVANT, {"query": [{"text": "red", "weight": -1}]}),
            judgement(A, Verdict.RELEVANT, {"query": [{"hash": "x"}]}),
            judgement(A, Verdict.RELEVANT, red | {"filter": None}),
            judgement(A, Verdict.RELEVANT, {"query": [{"text": "red"}, {"id": B}]}),
        ]
    )
    assert found == {"red": {A: 2, B: 0}}
