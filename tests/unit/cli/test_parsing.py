"""The command line's grammar: every setting an option, and whatever is wrong told with the rest."""

import re
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest

from ml_api.cli import main
from ml_api.cli.commands import COMMANDS, THRESHOLDS
from ml_api.cli.parsing import parse
from ml_api.duplicates import DuplicateThresholds
from ml_api.settings import Given, Settings, option_name
from ml_api.settings.loading import SECRETS

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """Without the settings, and away from the `.env`, of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("ML_API_CORPUS", "ML_API_PORT", "ML_API_METRICS_PORT"):
        monkeypatch.delenv(name, raising=False)


def stopped_with(arguments):
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    return ended.value.code


@pytest.mark.parametrize("command", ["serve", "sync", "triton-repository"])
def test_every_setting_but_secrets_is_listed(command, capsys):
    with pytest.raises(SystemExit) as ended:
        parse([command, "--help-settings"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for field in Settings.model_fields:
        assert bool(re.search(rf"  {option_name(field)}[, ]", shown)) is (field not in SECRETS), field
    assert "ML_API_MILVUS_TOKEN" in shown


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_help_shows_what_a_command_has_of_its_own(command, capsys):
    """It was 140 to 157 lines, nearly all of them settings."""
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 40
    assert "--help-settings" in shown
    assert "--hnsw-m" not in shown


def test_help_shows_the_settings_that_a_command_is_mostly_given(capsys):
    """Of `serve` it showed none: neither which images, nor which model, nor where."""
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            parse([command.name, "--help"])
        shown = capsys.readouterr().out
        for field in Settings.model_fields:
            assert bool(re.search(rf"\n  {option_name(field)}[, ]", shown)) is (field in command.settings), (command.name, field)


def test_without_a_command_all_are_shown(capsys):
    assert stopped_with([]) == 2
    assert "serve the search page and the API" in capsys.readouterr().err


def test_a_mistake_is_told_with_the_usage_of_its_command(capsys):
    assert stopped_with(["search"]) == 2
    assert "search [OPTION...] [TEXT] [--image FILE]" in capsys.readouterr().err


def test_options_are_settings_by_field():
    _, given, problems = parse(["serve", "--port", "80", "--data-dir=kept", "--log-queries"])
    assert given == {
        "port": Given("--port", "80"),
        "data_dir": Given("--data-dir", "kept"),
        "log_queries": Given("--log-queries", "True"),
    }
    assert not problems


def test_a_flag_takes_no_argument_that_is_not_its_own():
    _, given, _ = parse(["sync", "--follow-links", "--no-log-queries", "pictures"])
    assert {field: setting.value for field, setting in given.items()} == {
        "follow_links": "True",
        "log_queries": "False",
        "corpus": "pictures",
    }


def test_a_misspelt_option_is_likened_to_those_of_its_command():
    """A `--limit` of another command was taken for `--queue-limit`, and `--limt` of its own, too."""
    assert parse(["search", "dogs", "--limt", "3"])[2] == ["--limt is not an option; did you mean --limit?"]
    assert parse(["duplicates", "--limit", "3"])[2] == ["--limit is not an option"]


def test_what_follows_a_misspelt_option_is_its_value_and_no_folder():
    _, given, problems = parse(["sync", "--dat", "x"])
    assert (given, problems) == ({}, ["--dat is not an option; did you mean --data-dir?"])
    _, given, problems = parse(["sync", "--dat", "x", "pictures"])
    assert (given, problems) == ({"corpus": Given("DIR", "pictures")}, ["--dat is not an option; did you mean --data-dir?"])


def test_a_folder_to_sync_is_the_corpus():
    options, given, _ = parse(["sync", "pictures", "--allow-empty"])
    assert given == {"corpus": Given("DIR", "pictures")}
    assert options.allow_empty


def test_a_misspelt_option_is_told_with_the_problems_of_settings(capsys):
    assert main(["serve", "--prot", "80", "--corpus", "README.md", "--device", "tpu"]) == 2
    told = capsys.readouterr().err
    assert "--prot is not an option; did you mean --port?" in told
    assert "--corpus: README.md is not a folder" in told
    assert "--device: " in told


def test_an_argument_too_many_is_told(capsys):
    assert main(["sync", "one", "two"]) == 2
    assert "'two' is one argument too many" in capsys.readouterr().err


def test_an_option_is_not_guessed_from_its_beginning(capsys):
    assert main(["serve", "--metrics", "80"]) == 2
    assert "--metrics is not an option" in capsys.readouterr().err


def test_exit_codes_are_shown(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert "exit codes:\n  0 " in capsys.readouterr().out


def test_a_command_line_needs_nothing_heavy_to_be_read():
    heavy = ("numpy", "torch", "flask", "pymilvus", "prometheus_client", "PIL")
    code = f"import sys, ml_api.cli; ml_api.cli.parse(['serve']); print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_thresholds_of_duplicates_have_one_default():
    assert [option.default for option in THRESHOLDS] == list(astuple(DuplicateThresholds()))
    options, _, problems = parse(["duplicates", "--near-bits", "3", "--similarity", "0.5"])
    assert problems == []
    assert (options.near_bits, options.near_similarity, options.similarity) == (3, 0.55, 0.5)


def test_an_evaluation_says_what_it_measures(capsys):
    options, _, problems = parse(["evaluate", "recall", "--queries", "20", "--k", "5", "--plot", "x.svg"])
    assert (options.queries, options.k, str(options.plot), problems) == (20, 5, "x.svg", [])
    with pytest.raises(SystemExit):
        parse(["evaluate", "speed"])


@pytest.mark.parametrize("text", ["2", "nan", "x", "-1.1"])
def test_a_threshold_out_of_bounds_is_refused_with_them(text, capsys):
    with pytest.raises(SystemExit):
        parse(["duplicates", f"--similarity={text}"])
    assert f"--similarity: must be a number from -1 to 1 (got '{text}')" in capsys.readouterr().err
