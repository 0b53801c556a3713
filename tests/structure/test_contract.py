"""What is documented is what there is: routes, errors, settings, metrics."""

import re
from pathlib import Path

import pytest

from ml_api import errors, images
from ml_api.api import examples, problems
from ml_api.cli.exits import exits_table
from ml_api.errors import MlApiError
from ml_api.logs import fields_table
from ml_api.metrics import Metrics, metrics_table
from ml_api.settings import settings_table

DOCS = Path(__file__).parents[2] / "docs"
NEVER_ANSWERED = {"access-denied", "invalid-input", "invalid-image", "unavailable", "sync-refused", "model-replaced"}
"""Codes of branches of the tree, whose leaves have their own, and of the command line."""


def subclasses(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


@pytest.mark.parametrize("error", list(subclasses(MlApiError)), ids=lambda error: error.__name__)
def test_every_error_has_a_status(error):
    assert error in problems.STATUS


@pytest.mark.parametrize("error", list(subclasses(MlApiError)), ids=lambda error: error.__name__)
def test_every_error_is_drawn_in_the_tree(error):
    assert error.__name__ in (errors.__doc__ or "")


def test_every_error_has_its_own_code():
    codes = [error.code for error in subclasses(MlApiError)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("row", settings_table().splitlines())
def test_every_setting_is_documented_as_the_code_has_it(row):
    assert row in (DOCS / "settings.md").read_text().splitlines(), "take the table from `python -m ml_api settings`"


@pytest.mark.parametrize("row", exits_table().splitlines())
def test_every_exit_code_is_documented_as_the_code_has_it(row):
    assert row in (DOCS / "operations.md").read_text().splitlines(), "take the row from `ml_api/cli/exits.py`"


@pytest.mark.parametrize("row", metrics_table().splitlines())
def test_every_metric_is_documented_as_the_code_has_it(row):
    assert row in (DOCS / "metrics.md").read_text().splitlines(), "take the table from `python -m ml_api metrics`"


@pytest.mark.parametrize("row", fields_table().splitlines())
def test_every_log_field_is_documented_as_the_code_has_it(row):
    assert row in (DOCS / "metrics.md").read_text().splitlines(), "take the table from `python -m ml_api log-fields`"


@pytest.mark.parametrize("code", [*(error.code for error, status in problems.STATUS.items() if status != 500), *examples.PROBLEMS])
def test_every_code_of_an_error_is_documented(code):
    assert code in NEVER_ANSWERED or f"`{code}`" in (DOCS / "api.md").read_text()


def test_every_format_that_is_read_is_documented():
    assert f"is indexed: {images.ACCEPTED}." in " ".join((DOCS / "images.md").read_text().split())


def test_no_metric_is_documented_that_is_not_there():
    listed = re.findall(r"^\| `((?:http|ml_api)_\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    assert listed == [definition.name for definition in Metrics().definitions]


def test_the_catalogue_is_what_the_registries_hold():
    metrics = Metrics()
    held = {family.name for registry in (metrics.registry, metrics.sync.registry) for family in registry.collect()}
    ours = {name for name in held if name.startswith(("http_", "ml_api_"))}
    declared = {definition.name.removesuffix("_total").removesuffix("_info") for definition in metrics.definitions}
    read_from_gpus = {name for name in declared if name.startswith(("ml_api_gpu_", "ml_api_torch_"))}
    assert ours == declared - read_from_gpus
