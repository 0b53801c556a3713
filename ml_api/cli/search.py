"""The command `search`: finds images from the command line, through a running service of the collection or by itself."""

import base64
import html
import json
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from ml_api.cli.asking import ANSWER_S, RunningService, running_service
from ml_api.cli.exits import Exit
from ml_api.cli.parsing import Options
from ml_api.corpus.keys import require_image
from ml_api.corpus.thumbnails import EDGE_PX
from ml_api.deadline import Deadline
from ml_api.errors import MlApiError
from ml_api.images import THUMBNAIL_MEDIA_TYPE
from ml_api.search import ImageTerm, Query, TextTerm, Weighted, read_negations
from ml_api.services import Searching, corpus_of, open_searching
from ml_api.settings import Settings
from ml_api.vectors.base import SearchOptions
from ml_api.wording import legible

Hit = Mapping[str, Any]
"""As in the API's answers, and `path`: of the file, or its URL."""


@dataclass(frozen=True, slots=True)
class Wanted:
    text: str | None
    image: bytes | None
    limit: int


class Finder(Protocol):
    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Raises MlApiError."""
        ...

    def thumbnail(self, hit: Hit) -> bytes:
        """Raises MlApiError."""
        ...


def search(settings: Settings, options: Options) -> Exit:
    """Raises ConfigError, InvalidInput, Unavailable, OSError."""
    image = options.image.expanduser().read_bytes() if options.image else None
    wanted = Wanted(options.text, image, options.limit)
    location = corpus_of(settings).location.rstrip("/")
    with _finder(settings) as finder:
        hits = [hit | {"path": f"{location}/{hit['key']}"} for hit in finder.find(wanted)]
        if options.html or options.open:
            _write_page(options.html, _page(options.text or options.image.name, hits, finder))
        elif options.json:
            print(json.dumps({"hits": hits}, ensure_ascii=False))  # noqa: T201 - the output of the command
        else:
            print("\n".join(_table(hits)))  # noqa: T201 - the output of the command
    if not hits:
        print("nothing is indexed yet: run `sync` with the same settings", file=sys.stderr)  # noqa: T201 - for a person
    return Exit.DONE


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

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        image = None if wanted.image is None else base64.b64encode(wanted.image).decode()
        if image is None:
            answer = self._service.ask("/v1/search/text", {"q": wanted.text, "limit": wanted.limit})
        elif wanted.text is None:
            answer = self._service.ask(f"/v1/search/image?limit={wanted.limit}", {"image": image})
        else:
            answer = self._service.ask("/v1/search", {"query": [{"text": wanted.text}, {"image": image}], "limit": wanted.limit})
        hits: list[dict[str, Any]] = json.loads(answer)["hits"]
        return hits

    def thumbnail(self, hit: Hit) -> bytes:
        return self._service.ask(f"/v1/images/{hit['id']}/thumbnail")


class _Itself:
    """The searcher in this process."""

    def __init__(self, parts: Searching) -> None:
        self._parts = parts

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        parts, deadline = self._parts, Deadline.within(ANSWER_S)
        terms: list[Weighted] = []
        if wanted.text is not None:  # as the API reads it: a text beside an image stands as it is
            terms += read_negations(wanted.text) if wanted.image is None else [Weighted(TextTerm(wanted.text))]
        if wanted.image is not None:
            terms.append(Weighted(ImageTerm(parts.decoder.decode(wanted.image, parts.preprocessor.fit, deadline).pixels)))
        query = Query(tuple(terms), SearchOptions(wanted.limit))
        return [
            {
                "id": hit.record.id,
                "key": hit.record.key,
                "width": hit.record.width,
                "height": hit.record.height,
                "metadata": dict(hit.record.metadata),
                "score": round(hit.score, 6),
            }
            for hit in parts.searcher.search(query, deadline).hits
        ]

    def thumbnail(self, hit: Hit) -> bytes:
        deadline = Deadline.within(ANSWER_S)
        require_image(hit["key"])
        data = self._parts.corpus.read(hit["key"], self._parts.decoder.limits.max_bytes, deadline)
        return self._parts.decoder.thumbnail(data, EDGE_PX, deadline)


def _table(hits: Sequence[Hit]) -> Iterator[str]:
    yield f"{'score':>7}  {'pixels':>11}  path"
    for hit in hits:
        pixels = f"{hit['width']} x {hit['height']}"
        yield f"{hit['score']:7.4f}  {pixels:>11}  {legible(hit['path'], None)}"


def _write_page(file: Path | None, page: str) -> None:
    """To that file, or to one of its own that the browser shows."""
    if file is not None:
        file.expanduser().write_text(page, encoding="utf-8")
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="ml-api-search-", suffix=".html", delete=False) as written:
        written.write(page)
    print(written.name)  # noqa: T201 - the output of the command
    webbrowser.open(Path(written.name).as_uri())


def _page(asked: str, hits: Sequence[Hit], finder: Finder) -> str:
    """A contact sheet that loads nothing: its pictures are in it."""
    figures = "\n".join(_figure(hit, finder) for hit in hits)
    return PAGE.format(title=html.escape(asked), count=len(hits), figures=figures)


def _figure(hit: Hit, finder: Finder) -> str:
    path, caption = html.escape(hit["path"]), html.escape(str(hit["metadata"].get("caption", "")))
    try:
        source = f"data:{THUMBNAIL_MEDIA_TYPE};base64,{base64.b64encode(finder.thumbnail(hit)).decode()}"
        picture = f'<img src="{source}" alt="{caption or html.escape(hit["key"])}">'
    except MlApiError as exc:  # the file is gone, or damaged by now
        picture = f"<p>{html.escape(exc.detail)}</p>"
    return f"<figure>{picture}<figcaption><b>{hit['score']:.4f}</b> {path}<br>{caption}</figcaption></figure>"


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
<p>{count} images</p>
<main>
{figures}
</main>
</html>
"""
