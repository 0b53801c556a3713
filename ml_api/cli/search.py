"""The command `search`: finds images from the command line, through a running service of the collection or by itself."""

import base64
import html
import json
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ml_api.api.parsing import validated
from ml_api.api.schemas.search import PageParameters, TextParameters
from ml_api.cli.exits import Exit
from ml_api.cli.finders import Answer, Finder, Hit, Wanted, finder_of
from ml_api.cli.parsing import Options
from ml_api.corpus.base import too_large
from ml_api.errors import ConfigError, InvalidInput, MlApiError
from ml_api.images import THUMBNAIL_MEDIA_TYPE
from ml_api.services import location_of
from ml_api.settings import Settings
from ml_api.wording import legible

ASKED: Final = ("limit", "offset", "filter", "min_relevance", "group", "match")


def search(settings: Settings, options: Options) -> Exit:
    """Raises ConfigError, InvalidInput, Unavailable, OSError."""
    image = _read(options.image.expanduser(), settings.max_upload_bytes) if options.image else None
    asked = {name: str(value) for name in ASKED if (value := getattr(options, name)) is not None}
    wanted = Wanted(options.text, image, asked, _checked(options.text, asked))
    with finder_of(settings) as finder:
        answer = finder.find(wanted)
        location = _location(settings, finder)
        for hit in answer.hits:
            hit["path"] = f"{location.rstrip('/')}/{hit['key']}" if location else hit["key"]
        if options.html or options.open:
            _write_page(options.html, _page(options.text or options.image.name, answer, wanted.nothing, finder))
        elif options.json:
            print(json.dumps(asdict(answer), ensure_ascii=False))  # noqa: T201 - the output of the command
        elif answer.hits:
            print("\n".join(_table(answer.hits)))  # noqa: T201 - the output of the command
    for note in answer.notes(wanted.nothing):
        print(note, file=sys.stderr)  # noqa: T201 - for a person
    return Exit.DONE if answer.hits else Exit.FAILED


def _read(path: Path, max_bytes: int) -> bytes:
    """Raises TooLarge, OSError."""
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def _checked(text: str | None, asked: Mapping[str, str]) -> PageParameters:
    """As the API does it. Raises ConfigError."""
    try:
        return (
            validated(PageParameters, asked, strict=False)
            if text is None
            else validated(TextParameters, {"q": text, **asked}, strict=False)
        )
    except InvalidInput as exc:
        raise ConfigError(exc.detail) from exc


def _location(settings: Settings, finder: Finder) -> str:
    """Where this machine has the corpus; else, also while it is away, where those know it who found the images."""
    try:
        return location_of(settings) or finder.location
    except ConfigError:
        return finder.location


def _table(hits: Sequence[Hit]) -> Iterator[str]:
    """With columns for how relevant hits are, and where their words stand, if that is said of any."""
    columns = {"score": [f"{hit['score']:.4f}" for hit in hits]}
    if any(hit.get("relevance") is not None for hit in hits):
        columns["relevance"] = [_relevance(hit) for hit in hits]
    columns["pixels"] = [f"{hit['width']} x {hit['height']}" for hit in hits]
    if any(hit.get("matched") for hit in hits):
        columns["words in"] = [_matched(hit) for hit in hits]
    widths = {name: max(map(len, (name, *cells))) for name, cells in columns.items()}
    yield "  ".join(f"{name:>{width}}" for name, width in widths.items()) + "  path"
    for cells, hit in zip(zip(*columns.values(), strict=True), hits, strict=True):
        row = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths.values(), strict=True))
        yield f"{row}  {legible(hit['path'], None)}"


def _relevance(hit: Hit) -> str:
    return "" if hit.get("relevance") is None else f"{hit['relevance']:.2f}"


def _matched(hit: Hit) -> str:
    return ", ".join(legible(name, 30) for name in hit.get("matched") or ())


def _write_page(file: Path | None, page: str) -> None:
    """To that file, or to one of its own that the browser shows."""
    if file is not None:
        file.expanduser().write_text(page, encoding="utf-8")
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="ml-api-search-", suffix=".html", delete=False) as written:
        written.write(page)
    print(written.name)  # noqa: T201 - the output of the command
    webbrowser.open(Path(written.name).as_uri())


def _page(asked: str, answer: Answer, nothing: str, finder: Finder) -> str:
    """A contact sheet that loads nothing: its pictures are in it."""
    figures = "\n".join(_figure(hit, finder) for hit in answer.hits)
    counted = f"{len(answer.hits)} {'image' if len(answer.hits) == 1 else 'images'}"
    notes = "".join(f"\n<p>{html.escape(note)}</p>" for note in answer.notes(nothing))
    return PAGE.format(title=html.escape(asked), count=counted, notes=notes, figures=figures)


def _figure(hit: Hit, finder: Finder) -> str:
    path, caption = html.escape(hit["path"]), html.escape(str(hit["metadata"].get("caption", "")))
    try:
        source = f"data:{THUMBNAIL_MEDIA_TYPE};base64,{base64.b64encode(finder.thumbnail(hit)).decode()}"
        picture = f'<img src="{source}" alt="{caption or html.escape(hit["key"])}">'
    except MlApiError as exc:  # the file is gone, or damaged by now
        picture = f"<p>{html.escape(exc.detail)}</p>"
    told = [f"score <b>{hit['score']:.4f}</b>"]
    if relevance := _relevance(hit):
        told.append(f"relevance {relevance}")
    if matched := _matched(hit):
        told.append(f"words in {html.escape(matched)}")
    return f"<figure>{picture}<figcaption>{', '.join(told)}<br>{path}<br>{caption}</figcaption></figure>"


PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 14px system-ui, sans-serif }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 16px }}
figure {{ margin: 0 }}
img {{ width: 100%; height: 220px; object-fit: contain }}
figcaption {{ overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<p>{count}</p>{notes}
<main>
{figures}
</main>
</html>
"""
