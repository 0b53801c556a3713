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
    """Except for its id and times, the last digits of the score, which depend on the machine, and what comes with calibration."""
    [address] = re.findall(r"^curl 'http://127.0.0.1:8420(/v1/search/text.*)&limit=3'$", EXAMPLES, re.MULTILINE)
    printed = server.json(f"{address}&limit=1")
    assert printed["timings_ms"].keys() == ANSWER["timings_ms"].keys()
    [hit], [shown] = printed["hits"], ANSWER["hits"]
    assert hit == shown | {"score": pytest.approx(shown["score"], abs=0.01), "relevance": hit["relevance"]}
    same = ("model", "truncated", "next")
    assert [printed[name] for name in same] == [ANSWER[name] for name in same]
