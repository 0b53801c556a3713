"""The command `search`: finds images from the command line, through a running service of the collection or by itself."""

import base64
import html
import json
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from ml_api.api.answers import hit_fields, read_terms
from ml_api.cli.exits import Exit
from ml_api.cli.parsing import Options
from ml_api.cli.running_service import ANSWER_S, RunningService, running_service
from ml_api.corpus.base import Corpus
from ml_api.corpus.keys import require_image
from ml_api.corpus.thumbnails import EDGE_PX
from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, MlApiError
from ml_api.images import THUMBNAIL_MEDIA_TYPE
from ml_api.search import ImageTerm, Query, TextTerm, Weighted, reading_of
from ml_api.services import Searching, location_of, open_searching
from ml_api.settings import Settings
from ml_api.vectors.base import SearchOptions
from ml_api.wording import legible

Hit = Mapping[str, Any]
"""As in the API's answers, and `path`: of the file, or its URL."""


NOT_CONFIDENT: Final = "nothing matches this well; these are the nearest images"
NOTHING_INDEXED: Final = "nothing is indexed yet: run `sync` with the same settings"
BY_WORDS: Final = (
    "words of names and metadata found images, too, and count beside their scores: the order is that of both together, so that "
    "scores do not fall from hit to hit"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    text: str | None
    image: bytes | None
    limit: int


@dataclass(frozen=True, slots=True)
class Answer:
    """As the API's, without what only a page of several has."""

    hits: list[dict[str, Any]]
    confident: bool | None
    read_as: list[dict[str, Any]] | None

    def notes(self) -> Iterator[str]:
        """What has to be known to understand the hits."""
        if self.read_as:
            yield "read as " + ", ".join(f"{one['text']!r}{' (not wanted)' if one['weight'] < 0 else ''}" for one in self.read_as)
        if not self.hits:
            yield NOTHING_INDEXED
        elif self.confident is False:
            yield NOT_CONFIDENT
        if any(hit.get("matched") for hit in self.hits):
            yield BY_WORDS


class Finder(Protocol):
    location: str
    """Of the corpus; empty if the images came from none."""

    def find(self, wanted: Wanted) -> Answer:
        """Raises MlApiError."""
        ...

    def thumbnail(self, hit: Hit) -> bytes:
        """Raises MlApiError."""
        ...


def search(settings: Settings, options: Options) -> Exit:
    """Raises ConfigError, InvalidInput, Unavailable, OSError."""
    image = options.image.expanduser().read_bytes() if options.image else None
    wanted = Wanted(options.text, image, options.limit)
    with _finder(settings) as finder:
        answer = finder.find(wanted)
        location = _location(settings, finder)
        for hit in answer.hits:
            hit["path"] = f"{location.rstrip('/')}/{hit['key']}" if location else hit["key"]
        if options.html or options.open:
            _write_page(options.html, _page(options.text or options.image.name, answer, finder))
        elif options.json:
            print(json.dumps(asdict(answer), ensure_ascii=False))  # noqa: T201 - the output of the command
        else:
            print("\n".join(_table(answer.hits)))  # noqa: T201 - the output of the command
    for note in answer.notes():
        print(note, file=sys.stderr)  # noqa: T201 - for a person
    return Exit.DONE if answer.hits else Exit.FAILED


def _location(settings: Settings, finder: Finder) -> str:
    """Where this machine has the corpus; else, also while it is away, where those know it who found the images."""
    try:
        return location_of(settings) or finder.location
    except ConfigError:
        return finder.location


@contextmanager
def _finder(settings: Settings) -> Iterator[Finder]:
    with running_service(settings) as service:
        if service is not None:
            yield _Service(service)
            return
    with open_searching(settings) as parts:
        yield _Itself(parts)


class _Service:
    def __init__(self, service: RunningService) -> None:
        self._service = service
        self.location = service.corpus

    def find(self, wanted: Wanted) -> Answer:
        image = None if wanted.image is None else base64.b64encode(wanted.image).decode()
        if image is None:
            answer = self._service.ask("/v1/search/text", {"q": wanted.text, "limit": wanted.limit})
        elif wanted.text is None:
            answer = self._service.ask(f"/v1/search/image?limit={wanted.limit}", {"image": image})
        else:
            answer = self._service.ask("/v1/search", {"query": [{"text": wanted.text}, {"image": image}], "limit": wanted.limit})
        found = json.loads(answer)
        return Answer(found["hits"], found.get("confident"), found.get("read_as"))

    def thumbnail(self, hit: Hit) -> bytes:
        return self._service.ask(f"/v1/images/{hit['id']}/thumbnail")


class _Itself:
    """The searcher in this process."""

    def __init__(self, parts: Searching) -> None:
        self._parts = parts
        self.location = parts.location

    @cached_property
    def _corpus(self) -> Corpus:
        """Opened for what only it has: hits are found also while its folder is away."""
        return self._parts.open_corpus()

    def find(self, wanted: Wanted) -> Answer:
        parts, deadline = self._parts, Deadline.within(ANSWER_S)
        terms: tuple[Weighted, ...] = () if wanted.text is None else (Weighted(TextTerm(wanted.text)),)
        if wanted.image is not None:
            terms += (Weighted(ImageTerm(parts.decoder.decode(wanted.image, parts.preprocessor.fit, deadline).pixels)),)
        reading = reading_of(terms)
        query = Query(reading.terms, SearchOptions(wanted.limit), reading=reading)
        result = parts.searcher.search(query, deadline)
        return Answer(
            [hit_fields(row) for row in result.rows],
            result.confident,
            [term.model_dump() for term in read_terms(query) or ()] or None,
        )

    def thumbnail(self, hit: Hit) -> bytes:
        deadline = Deadline.within(ANSWER_S)
        require_image(hit["key"])
        data = self._corpus.read(hit["key"], self._parts.decoder.limits.max_bytes, deadline)
        return self._parts.decoder.thumbnail(data, EDGE_PX, deadline)


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


def _page(asked: str, answer: Answer, finder: Finder) -> str:
    """A contact sheet that loads nothing: its pictures are in it."""
    figures = "\n".join(_figure(hit, finder) for hit in answer.hits)
    counted = f"{len(answer.hits)} {'image' if len(answer.hits) == 1 else 'images'}"
    notes = "".join(f"\n<p>{html.escape(note)}</p>" for note in answer.notes())
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
