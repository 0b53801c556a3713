"""The README's examples, run as they stand against a real server."""

import json
import re
import subprocess

import pytest

from tests.e2e.server_process import ROOT

README = (ROOT / "README.md").read_text()
EXAMPLES = re.search(r"## Use it\n\n```bash\n(.*?)```", README, re.DOTALL)[1]
ANSWER = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL)[1])


@pytest.mark.parametrize("example", EXAMPLES.strip().split("\n\n"), ids=lambda example: example.splitlines()[0].lstrip("# "))
def test_an_example_works_as_it_stands(server, demo_corpus, tmp_path, example):
    here = (
        example.replace("http://127.0.0.1:8420", server.url)
        .replace("data/demo/images", str(demo_corpus))
        .replace("/tmp/thumbnail", f"{tmp_path}/thumbnail")
    )
    script = "set -euo pipefail\n" + re.sub(r"\bcurl\b", "curl --silent --show-error --fail", here)
    result = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    if "-o " not in example:
        assert '"hits":[{' in result.stdout or '"images":[{' in result.stdout


def test_there_are_at_least_five_examples():
    assert len(re.findall(r"^curl", EXAMPLES, re.MULTILINE)) >= 5


def test_the_answer_shown_is_what_the_first_example_prints(server):
    """Except for its id and times, what comes with calibration, and which of hits as good as equal a processor's rounding puts
    first."""
    [address] = re.findall(r"^curl 'http://127.0.0.1:8420(/v1/search/text.*)&limit=3'$", EXAMPLES, re.MULTILINE)
    printed = server.json(f"{address}&limit=1")
    assert _shape(printed) == _shape(ANSWER)
    [hit], [shown] = printed["hits"], ANSWER["hits"]
    assert hit["score"] == pytest.approx(shown["score"], abs=0.002)
    assert (hit["metadata"]["facts"]["kinds"], hit["metadata"]["facts"]["setting"]) == (["dog"], "snow")
    same = ("model", "truncated", "next")
    assert [printed[name] for name in same] == [ANSWER[name] for name in same]


def _shape(value):
    """The members in their order, and the kinds of their values: what calibration fills in is null at first."""
    if isinstance(value, dict):
        return [(name, None if name in {"confident", "relevance"} else _shape(member)) for name, member in value.items()]
    if isinstance(value, list):
        return [_shape(member) for member in value]
    return "number" if type(value) in {int, float} else type(value).__name__


def test_the_composed_example_finds_what_is_wanted_without_what_is_not(server):
    [body] = re.findall(r"/v1/search -H .*\n  -d '(.*)'", EXAMPLES)
    _, _, answer = server.post("/v1/search", body.encode(), "application/json")
    first = json.loads(answer)["hits"][0]["metadata"]["facts"]
    assert "dog" in first["kinds"]
    assert first["setting"] != "snow"
