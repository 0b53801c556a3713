"""Builds queries from the terms of a request: reads image files of forms, decodes and crops them. Every error names its term."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from flask import request
from pydantic import BaseModel

from ml_api.api import services
from ml_api.api.form import read_form
from ml_api.api.observe import elsewhere
from ml_api.api.parsing import JSON, image_id_of, json_body, json_object, named, unsupported
from ml_api.api.query_images import bytes_of_base64
from ml_api.api.schemas.arrangement import facets_of, grouping_of, sort_of
from ml_api.api.schemas.composed import MAX_TERMS, ComposedQuery, QueryTerm
from ml_api.api.schemas.search import PageBody, PageParameters, TextParameters, TextQuery
from ml_api.deadline import Deadline
from ml_api.errors import InvalidCrop, InvalidInput, InvalidQuery, MlApiError
from ml_api.images import Crop
from ml_api.search import (
    Arrangement,
    Fault,
    ImageTerm,
    Marks,
    Query,
    StoredTerm,
    Term,
    TextTerm,
    Thresholds,
    VectorTerm,
    Weighted,
    reading_of,
)
from ml_api.stages import stage
from ml_api.vectors.base import SearchOptions
from ml_api.vocabulary import Stage
from ml_api.wording import got, legible

Body = TypeVar("Body", bound=BaseModel)

QUERY_FIELD: Final = "search"
"""The name of the form field with the query, as JSON."""
KINDS: Final = ("text", "image", "id", "vector")
"""Members of a term, of which it has exactly one."""
MAX_NUMBERS: Final = 300_000
"""The most numbers in the vectors of a request: 256 vectors of a thousand. Parsing them takes 30 ms."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The files of a form, by the names of their fields; `files` is None for a JSON body, whose images are in base64."""

    files: Mapping[str, bytes] | None

    def image(self, text: str) -> bytes:
        """Return the file that a term's `image` names or contains. Raises InvalidInput."""
        if self.files is None:
            return bytes_of_base64(text)
        if text not in self.files:
            sent = legible(", ".join(self.files), 200) or "none"
            raise InvalidInput(
                f"no field of the form with a file is called {text[:100]!r} (files sent: {sent})", code="missing-image"
            )
        return self.files[text]


def search_body(model: type[Body]) -> tuple[Body, Sent]:
    """Parse the JSON of a search as `model`, which is the body, or a field of a form with files. Raises InvalidInput."""
    match request.mimetype:
        case "application/json":
            return json_body(model, punctuation=MAX_NUMBERS), Sent(None)
        case "multipart/form-data":
            return _of_form(model)
        case _:
            raise unsupported(f"{JSON}, or multipart/form-data with that JSON in the field {QUERY_FIELD!r} and files in others")


def _of_form(model: type[Body]) -> tuple[Body, Sent]:
    form = read_form(request)
    texts = [
        *(text.encode() for text in form.fields.pop(QUERY_FIELD, [])),
        *(file.data for file in form.files.pop(QUERY_FIELD, [])),
    ]
    if len(texts) != 1:
        raise InvalidInput(
            f"{QUERY_FIELD}: this field of the form, with JSON, is there {len(texts)} times; send it once", code="invalid-json"
        )
    if form.fields:
        raise InvalidQuery(
            f"{legible(next(iter(form.fields)))}: holds no file; all but the files belongs into the JSON of {QUERY_FIELD!r}"
        )
    if several := next((name for name, files in form.files.items() if len(files) > 1), None):
        raise InvalidQuery(f"{legible(several)}: two files have this name; each is named by a term of its own")
    body = json_object(model, texts[0], MAX_NUMBERS)
    return body, Sent({name: files[0].data for name, files in form.files.items()})


def query_for(terms: tuple[Weighted, ...], page: PageParameters | PageBody, *, with_negations: bool = False) -> Query:
    """Return the query for these terms, with the page, filter and arrangement that a request asks for.

    `with_negations` has "without X" in texts read as a term with a negative weight.
    """
    reading = reading_of(terms) if with_negations else None
    return Query(
        terms if reading is None else reading.terms,
        SearchOptions(page.limit, page.offset, page.exact, filter=page.wanted),
        thresholds=Thresholds(page.min_score, page.min_relevance),
        cursor=page.cursor,
        arrangement=Arrangement(
            None if page.group is None else grouping_of(page.group),
            page.diversity,
            facets_of(page.facet_names),
            None if page.sort is None else sort_of(page.sort),
        ),
        reading=reading,
    )


def reads_negations(body: TextParameters | TextQuery | ComposedQuery) -> bool:
    """Return whether negations in texts are read: not where all words of a text must be found, as they stand."""
    return body.negation and body.match != "text"


def refuse_many(terms: int, most: int, what: str) -> None:
    """Raise InvalidQuery if there are more than `most` terms; `what` begins the message.

    Terms that negations add are counted, too, as each is embedded.
    """
    if terms > most:
        raise InvalidQuery(f"{what} {terms:,} terms, as their texts are read (`negation`); at most {most} are taken in one request")


def query_of(body: ComposedQuery, sent: Sent, deadline: Deadline, within: str = "") -> Query:
    """Return the query of a body. `within` is its place in the request, such as `queries[2].`.

    Raises InvalidInput, and the errors of `Decoder.decode`.
    """
    terms = tuple(
        Weighted(_term(term, sent, f"{within}query[{place}]", deadline), term.weight) for place, term in enumerate(body.query)
    )
    if body.match == "text" and not any(weighted.weight > 0 and isinstance(weighted.term, TextTerm) for weighted in terms):
        raise InvalidQuery(f"{within}match: is text, and no term is one with a weight above 0; add one, or search by vectors")
    marks = _marks(body, within)
    query = query_for(terms, body, with_negations=reads_negations(body))
    refuse_many(len(query.terms), MAX_TERMS, f"{within}query: has")
    return replace(query, exclude_inputs=body.exclude_inputs, explain=body.explain, marks=marks, match=body.match)


def _marks(body: ComposedQuery, within: str) -> Marks:
    """The marked images of a body. Raises InvalidInput."""
    more, less = (_marked(getattr(body, name), f"{within}{name}") for name in ("more_like", "less_like"))
    for place, image_id in enumerate(body.less_like):
        if image_id in body.more_like:
            at = f"{within}less_like[{place}]"
            raise InvalidQuery(f"{at}: is in more_like as well; mark an image good or bad, not both{got(image_id)}")
    return Marks(more, less)


def _marked(ids: Sequence[str], name: str) -> tuple[StoredTerm, ...]:
    """The terms of marked images, each once. Raises InvalidInput."""
    for place, image_id in enumerate(ids):
        image_id_of(image_id, f"{name}[{place}]")
    return tuple(map(StoredTerm, dict.fromkeys(ids)))


def named_fault(fault: Fault, body: ComposedQuery, within: str = "") -> MlApiError:
    """The error of a fault, with the place in the request of the term at fault."""
    if fault.term is None:
        return named(fault.error, within)
    return named(fault.error, f"{within}query[{fault.term}].{_kinds(body.query[fault.term])[0]}: ")


def _kinds(term: QueryTerm) -> list[str]:
    return [kind for kind in KINDS if getattr(term, kind) is not None]


def _term(term: QueryTerm, sent: Sent, place: str, deadline: Deadline) -> Term:
    kinds = _kinds(term)
    if len(kinds) != 1:
        raise InvalidQuery(f"{place}: has {' and '.join(kinds) or 'no member to search for'}; a term has one of {', '.join(KINDS)}")
    if term.crop is not None and term.image is None:
        raise InvalidCrop(f"{place}.crop: is of images alone; this term has {kinds[0]}")
    if term.id is not None:
        return StoredTerm(image_id_of(term.id, f"{place}.id"))
    try:
        return _built(term, sent, deadline)
    except InvalidCrop as exc:
        raise named(exc, f"{place}.crop: ") from exc
    except InvalidInput as exc:
        raise named(exc, f"{place}.{kinds[0]}: ") from exc


def _built(term: QueryTerm, sent: Sent, deadline: Deadline) -> Term:
    if term.text is not None:
        return TextTerm(term.text)
    if term.vector is not None:
        return VectorTerm(tuple(term.vector))
    assert term.image is not None
    crop = None if term.crop is None else Crop(*term.crop)
    data = sent.image(term.image)
    with stage(Stage.DECODE), elsewhere():
        return ImageTerm(services().decoder.decode(data, services().engine.preprocessor.fit, deadline, crop).pixels)
