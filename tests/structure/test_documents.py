"""Pages for people: their links, decision records and their index, the layout of the package."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "decisions"
FILES = sorted(RECORDS.glob("0*.md"))
INDEX = re.findall(r"^- \[(\d{4})\]\((\S+)\) (.+)$", (RECORDS / "README.md").read_text(), re.MULTILINE)
FOLDERS = ("docs", "monitoring", "demo", "benchmarks")
PAGES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])


def without_code(path):
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """Those that GitHub gives to headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", without_code(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(path, target):
    file, _, anchor = target.partition("#")
    found = path.parent / file if file else path
    return found.exists() and (not anchor or anchor in anchors(found))


def test_no_number_is_used_twice():
    numbers = [path.name[:4] for path in FILES]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_record_is_in_the_index_under_its_title(path):
    title = re.match(r"# (\d{4}) (.+)\n", path.read_text())
    assert title, "a record begins with `# NUMBER Title`"
    assert (path.name[:4], path.name, title[2]) in [entry for entry in INDEX if entry[0] == title[1]]


def test_the_index_names_records_that_exist():
    assert {name for _, name, _ in INDEX} == {path.name for path in FILES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_a_heading_that_exist(path):
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", without_code(path))
    assert [target for target in targets if not leads_somewhere(path, target)] == []


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_the_introduction_leads_to_every_page(name):
    assert f"](docs/{name})" in (ROOT / "Introduction.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "ml_api").iterdir()), ids=lambda path: path.name)
def test_the_layout_names_every_part_of_the_package(path):
    if path.name.startswith("__") or not (path.suffix == ".py" or (path / "__init__.py").exists()):
        return
    layout = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1]
    assert f"{path.name}/" in layout if path.is_dir() else path.name in layout


def test_the_layout_names_nothing_that_is_gone():
    layout = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1].partition("demo/")[0]
    named = {name.rstrip("/") for name in re.findall(r"\b[a-z_]+(?:\.py\b|/)", layout)} - {"ml_api"}
    there = {path.name for path in (ROOT / "ml_api").rglob("*")}
    assert named <= there
