"""Finders of the command `search`: a running service of the collection, or a searcher in this process."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from ml_api.api.answers import group_fields, hit_fields, read_terms
from ml_api.api.schemas.search import PageParameters, TextParameters
from ml_api.api.terms import query_for
from ml_api.cli.running_service import ANSWER_S, RunningService, running_service
from ml_api.corpus.base import Corpus
from ml_api.corpus.keys import require_image
from ml_api.corpus.thumbnails import EDGE_PX
from ml_api.deadline import Deadline
from ml_api.search import ImageTerm, TextTerm, Weighted
from ml_api.services import Searching, open_searching
from ml_api.settings import Settings

Hit = Mapping[str, Any]
"""As in the API's answers, and `path`: of the file, or its URL."""


NOT_CONFIDENT: Final = "nothing matches this well; these are the nearest images"
NOTHING_INDEXED: Final = "nothing is indexed yet: run `sync` with the same settings"
NOTHING_FOUND: Final = "nothing is found that meets all this"
BY_WORDS: Final = (
    "words of names and metadata found images, too, and count beside their scores: the order is that of both together, so that "
    "a hit may stand above one with a higher score"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    text: str | None
    image: bytes | None
    asked: dict[str, str]
    """The parameters of the page that were given, as in a query string."""
    page: PageParameters
    """What they say; `TextParameters` where there is a text."""

    @property
    def members(self) -> dict[str, Any]:
        """The parameters as members of a JSON body."""
        members = {name: getattr(self.page, name) for name in self.asked}
        return members | ({"filter": json.loads(members["filter"])} if "filter" in members else {})

    @property
    def nothing(self) -> str:
        """The message for an answer without hits."""
        return NOTHING_INDEXED if self.asked.keys() == {"limit"} else NOTHING_FOUND


@dataclass(frozen=True, slots=True)
class Answer:
    """The members of an answer of the API that the command shows."""

    hits: list[dict[str, Any]]
    confident: bool | None
    read_as: list[dict[str, Any]] | None
    warnings: list[str] | None

    def notes(self, nothing: str) -> Iterator[str]:
        """Remarks that explain the hits; `nothing` if there are none."""
        yield from self.warnings or ()
        if self.read_as:
            yield "read as " + ", ".join(f"{one['text']!r}{' (not wanted)' if one['weight'] < 0 else ''}" for one in self.read_as)
        if not self.hits:
            yield nothing
        elif self.confident is False:
            yield NOT_CONFIDENT
        if any(lower["score"] < higher["score"] for lower, higher in pairwise(self.hits)) and any(
            hit.get("matched") for hit in self.hits
        ):
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


@contextmanager
def finder_of(settings: Settings) -> Iterator[Finder]:
    with running_service(settings) as service:
        if service is not None:
            yield _ServiceFinder(service)
            return
    with open_searching(settings) as parts:
        yield _LocalFinder(parts)


class _ServiceFinder:
    def __init__(self, service: RunningService) -> None:
        self._service = service
        self.location = service.corpus

    def find(self, wanted: Wanted) -> Answer:
        image = None if wanted.image is None else base64.b64encode(wanted.image).decode()
        if image is None:
            answer = self._service.ask("/v1/search/text", {"q": wanted.text, **wanted.members})
        elif wanted.text is None:
            answer = self._service.ask(f"/v1/search/image?{urlencode(wanted.asked)}", {"image": image})
        else:
            answer = self._service.ask("/v1/search", {"query": [{"text": wanted.text}, {"image": image}], **wanted.members})
        found = json.loads(answer)
        return Answer(found["hits"], found.get("confident"), found.get("read_as"), found.get("warnings"))

    def thumbnail(self, hit: Hit) -> bytes:
        return self._service.ask(f"/v1/images/{hit['id']}/thumbnail")


class _LocalFinder:
    """A searcher in this process."""

    def __init__(self, parts: Searching) -> None:
        self._parts = parts
        self.location = parts.location

    @cached_property
    def _corpus(self) -> Corpus:
        """Opened for thumbnails only: hits are found even if the folder is not mounted."""
        return self._parts.open_corpus()

    def find(self, wanted: Wanted) -> Answer:
        parts, deadline = self._parts, Deadline.within(ANSWER_S)
        terms: tuple[Weighted, ...] = () if wanted.text is None else (Weighted(TextTerm(wanted.text)),)
        if wanted.image is not None:
            terms += (Weighted(ImageTerm(parts.decoder.decode(wanted.image, parts.preprocessor.fit, deadline).pixels)),)
        page, match = wanted.page, wanted.page.match if isinstance(wanted.page, TextParameters) else "auto"
        query = replace(query_for(terms, page, with_negations=match != "text"), match=match)
        result = parts.searcher.search(query, deadline)
        return Answer(
            [hit_fields(row, None, group_fields(row, lambda _: None)) for row in result.rows],
            result.confident,
            [term.model_dump() for term in read_terms(query) or ()] or None,
            list(result.warnings) or None,
        )

    def thumbnail(self, hit: Hit) -> bytes:
        deadline = Deadline.within(ANSWER_S)
        require_image(hit["key"])
        data = self._corpus.read(hit["key"], self._parts.decoder.limits.max_bytes, deadline)
        return self._parts.decoder.thumbnail(data, EDGE_PX, deadline)
