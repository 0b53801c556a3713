"""An S3 server that misbehaves: every fault becomes one of our errors in bounded time, and no bytes of two versions are joined."""

import hashlib
import socket
import threading
from xml.sax.saxutils import escape

import fsspec
import pytest
from werkzeug import Response

from ml_api.corpus.base import Coverage
from ml_api.corpus.bucket import BucketCorpus
from ml_api.corpus.bucket.s3 import BODIES, CLIENT, PAGE, S3Objects
from ml_api.corpus.versions import MISSING
from ml_api.deadline import Deadline
from ml_api.errors import (
    CorpusReadOnly,
    CorpusUnavailable,
    DeadlineExceeded,
    InsufficientStorage,
    InvalidKey,
    NotFound,
    PreconditionFailed,
    TooLarge,
)

PHOTOGRAPH = hashlib.shake_256(b"noise").digest(3_000_000)


def etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


def error(status, code):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so it is</Message></Error>"
    return Response(body, status, content_type="application/xml")


def page(keys, token=""):
    found = "".join(f"<Contents><Key>{escape(key)}</Key><Size>1</Size><ETag>{etag(key.encode())}</ETag></Contents>" for key in keys)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return Response(f"<?xml version='1.0'?><ListBucketResult>{more}{found}</ListBucketResult>", content_type="application/xml")


def whole(data):
    return Response(data, headers={"ETag": etag(data)})


def broken_off(data, after, status=200):
    """An answer that promises `data` and ends early."""
    return Response(iter([data[:after]]), status, headers={"ETag": etag(data), "Content-Length": str(len(data))})


class Script:
    """Answers requests of the object `a.jpg` one after the other; the last answer is given to all further ones."""

    def __init__(self, httpserver, *answers):
        self.seen = []
        self._answers = list(answers)
        httpserver.expect_request("/bucket/pre/.mlapiignore").respond_with_handler(lambda _: error(404, "NoSuchKey"))
        httpserver.expect_request("/bucket/pre/a.jpg").respond_with_handler(self)

    def __call__(self, request):
        self.seen.append((request.method, request.headers.get("Range"), request.headers.get("If-Match")))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(request) if callable(answer) and not isinstance(answer, Response) else answer


@pytest.fixture(scope="module")
def endpoint(make_httpserver):
    return make_httpserver.url_for("")


def file_system(endpoint, **config):
    return fsspec.filesystem("s3", endpoint_url=endpoint, key="k", secret="s", config_kwargs=CLIENT | config)


@pytest.fixture(scope="module")
def patient(endpoint):
    """The client as the application configures it, which tries three times."""
    return file_system(endpoint)


@pytest.fixture(scope="module")
def hasty(endpoint):
    """One that waits for a third of a second and does not ask again."""
    return file_system(endpoint, read_timeout=0.3, retries={"total_max_attempts": 1})


def over(fs):
    return BucketCorpus(S3Objects(fs, "bucket", "pre/", "s3://bucket/pre"))


def test_an_overloaded_server_is_asked_again(httpserver, patient):
    script = Script(httpserver, error(503, "SlowDown"), error(500, "InternalError"), whole(b"bytes"))
    assert over(patient).read("a.jpg", 100) == b"bytes"
    assert len(script.seen) == 3


def test_a_server_that_only_fails_is_given_up(httpserver, patient):
    script = Script(httpserver, error(503, "SlowDown"))
    with pytest.raises(CorpusUnavailable, match=r"s3://bucket/pre answered 503 \(SlowDown\)"):
        over(patient).read("a.jpg", 100)
    assert len(script.seen) == 3


def test_a_body_that_breaks_off_goes_on_where_it_broke_off_under_the_condition_of_its_etag(httpserver, hasty):
    def rest(request):
        start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        return Response(PHOTOGRAPH[start:], 206, headers={"ETag": etag(PHOTOGRAPH)})

    script = Script(httpserver, broken_off(PHOTOGRAPH, 1_000_000), rest)
    assert over(hasty).read("a.jpg", 10_000_000) == PHOTOGRAPH
    (_, first, _), (_, second, condition) = script.seen
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 1_000_000
    assert condition == etag(PHOTOGRAPH)


def test_an_object_that_is_replaced_while_it_is_read_is_read_again_whole(httpserver, hasty):
    new = PHOTOGRAPH[::-1]
    script = Script(httpserver, broken_off(PHOTOGRAPH, 1_000_000), error(412, "PreconditionFailed"), whole(new))
    assert over(hasty).read("a.jpg", 10_000_000) == new
    assert script.seen[2] == ("GET", None, None)


def test_a_server_that_knows_no_ranges_starts_anew(httpserver, hasty):
    Script(httpserver, broken_off(PHOTOGRAPH, 1_000_000), whole(PHOTOGRAPH))
    assert over(hasty).read("a.jpg", 10_000_000) == PHOTOGRAPH


def test_a_body_that_always_breaks_off_is_given_up(httpserver, hasty):
    script = Script(httpserver, broken_off(PHOTOGRAPH, 0))
    with pytest.raises(CorpusUnavailable, match="its body broke off"):
        over(hasty).read("a.jpg", 10_000_000)
    assert len(script.seen) == BODIES


def test_a_body_over_the_limit_is_not_read(httpserver, hasty):
    Script(httpserver, whole(PHOTOGRAPH))
    with pytest.raises(TooLarge, match="2,000,000 bytes"):
        over(hasty).read("a.jpg", 2_000_000)


def test_an_object_that_was_listed_and_is_denied_may_be_there(httpserver, hasty):
    httpserver.expect_request(
        "/bucket", query_string={"list-type": "2", "prefix": "pre/", "max-keys": "1000", "encoding-type": "url"}
    )
    Script(httpserver, error(403, "AccessDenied"))
    corpus = over(hasty)
    with pytest.raises(CorpusUnavailable, match=r"denies access to 'a\.jpg' \(AccessDenied\)"):
        corpus.read("a.jpg", 100)
    with pytest.raises(CorpusUnavailable, match="denies access"):
        corpus.version("a.jpg")


def test_a_bucket_that_may_only_be_read_is_read_only(httpserver, hasty):
    Script(httpserver, lambda request: whole(b"x") if request.method == "HEAD" else error(403, "AccessDenied"))
    corpus = over(hasty)
    for change in (lambda: corpus.write("a.jpg", b"x"), lambda: corpus.delete("a.jpg")):
        with pytest.raises(CorpusReadOnly, match="denies access"):
            change()


@pytest.mark.parametrize(("status", "code"), [(507, "XMinioStorageFull"), (403, "QuotaExceeded"), (507, "InsufficientStorage")])
def test_a_full_server_is_out_of_room(httpserver, hasty, status, code):
    Script(httpserver, error(status, code))
    with pytest.raises(InsufficientStorage, match=r"no room is left in the corpus for 'a\.jpg'"):
        over(hasty).write("a.jpg", b"x")


@pytest.mark.parametrize(("expected", "sent"), [(MISSING, {"If-None-Match": "*"}), ("e1", {"If-Match": '"e1"'})])
def test_what_a_write_expects_is_asked_of_the_server_in_the_same_request(httpserver, hasty, expected, sent):
    asked = []

    def write(request):
        asked.append({name: request.headers[name] for name in ("If-Match", "If-None-Match") if name in request.headers})
        return Response(headers={"ETag": etag(b"x")})

    Script(httpserver, write)
    over(hasty).write("a.jpg", b"x", expected)
    assert asked == [sent]


@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (404, "NoSuchKey")])
def test_an_object_that_is_another_than_expected_is_left_alone(httpserver, hasty, status, code):
    for there in (whole(b"y"), whole(b"longer"), error(404, "NoSuchKey")):
        Script(httpserver, error(status, code), there)
        with pytest.raises(PreconditionFailed):
            over(hasty).write("a.jpg", b"x", "e1")
        httpserver.clear()


@pytest.mark.parametrize("expected", [MISSING, "e1"])
def test_a_write_whose_answer_was_lost_is_written(httpserver, patient, expected):
    """The client asks again, and the condition meets the object that it wrote itself."""
    script = Script(httpserver, error(500, "InternalError"), error(412, "PreconditionFailed"), whole(b"x"))
    assert S3Objects(patient, "bucket", "pre/", "s3://bucket/pre").write("a.jpg", b"x", expected) == etag(b"x").strip('"')
    assert [method for method, *_ in script.seen] == ["PUT", "PUT", "GET"]


@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (404, "NoSuchKey")])
def test_a_deletion_whose_answer_was_lost_is_done(httpserver, patient, status, code):
    """The client asks again, and the condition meets no object any more."""
    script = Script(httpserver, whole(b"x"), error(500, "InternalError"), error(status, code), error(404, "NoSuchKey"))
    S3Objects(patient, "bucket", "pre/", "s3://bucket/pre").delete("a.jpg", etag(b"x").strip('"'))
    assert [method for method, *_ in script.seen] == ["HEAD", "DELETE", "DELETE", "HEAD"]


def test_an_object_that_was_replaced_before_its_deletion_is_left_alone(httpserver, hasty):
    script = Script(httpserver, whole(b"x"), error(412, "PreconditionFailed"), whole(b"y"))
    with pytest.raises(PreconditionFailed):
        over(hasty).delete("a.jpg", etag(b"x").strip('"'))
    assert [method for method, *_ in script.seen] == ["HEAD", "DELETE", "HEAD"]


def test_a_server_without_conditional_writes_writes_all_the_same(httpserver, hasty):
    script = Script(httpserver, error(501, "NotImplemented"), Response(headers={"ETag": etag(b"x")}))
    over(hasty).write("a.jpg", b"x", MISSING)
    assert [method for method, *_ in script.seen] == ["PUT", "PUT"]


def test_a_bucket_that_is_not_there_is_no_other_object(httpserver, hasty):
    Script(httpserver, error(404, "NoSuchBucket"))
    with pytest.raises(CorpusUnavailable, match="there is no bucket"):
        over(hasty).write("a.jpg", b"x", MISSING)


def test_a_file_that_was_deleted_meanwhile_is_gone(httpserver, hasty):
    Script(httpserver, error(404, "NoSuchKey"))
    corpus = over(hasty)
    for ask in (lambda: corpus.read("a.jpg", 10), lambda: corpus.version("a.jpg"), lambda: corpus.delete("a.jpg")):
        with pytest.raises(NotFound, match=r"the corpus holds no file 'a\.jpg'"):
            ask()


def test_a_server_that_does_not_answer_is_waited_for_in_bounds(httpserver, hasty, patient):
    released = threading.Event()
    Script(httpserver, lambda _: (released.wait(20), error(500, "InternalError"))[1])
    try:
        with pytest.raises(CorpusUnavailable, match="cannot be reached: "):
            over(hasty).read("a.jpg", 100)
        with pytest.raises(DeadlineExceeded, match=r"0\.2 s"):
            over(patient).read("a.jpg", 100, Deadline.within(0.2))
    finally:
        released.set()


def test_a_body_that_stands_still_is_given_up(httpserver, hasty):
    released = threading.Event()

    def stands_still(_):
        def body():
            yield b"x" * 1000
            released.wait(20)

        return Response(body(), headers={"ETag": '"1"', "Content-Length": "5000"})

    Script(httpserver, stands_still)
    try:
        with pytest.raises(CorpusUnavailable):
            over(hasty).read("a.jpg", 10_000)
    finally:
        released.set()


def test_a_listing_asks_for_a_page_once_the_one_before_is_used_up(httpserver, hasty):
    asked = []

    def list_pages(request):
        asked.append(request.args.get("continuation-token"))
        number = len(asked)
        return page([f"pre/{number}-{file:04}.jpg" for file in range(PAGE)], token=f"t{number}" if number < 3 else "")

    Script(httpserver, error(404, "NoSuchKey"))
    httpserver.expect_request("/bucket").respond_with_handler(list_pages)
    listing = over(hasty).list()
    first = [next(listing).key for _ in range(PAGE - 1)]  # before the last is given, its sidecar is looked for on the next page
    assert asked == [None]
    keys = first + [file.key for file in listing]
    assert asked == [None, "t1", "t2"]
    assert keys == sorted(keys)
    assert len(set(keys)) == 3 * PAGE


def test_a_listing_that_fails_at_its_second_page_is_no_short_listing(httpserver, hasty):
    Script(httpserver, error(404, "NoSuchKey"))
    pages = {"t": error(500, "InternalError")}
    httpserver.expect_request("/bucket").respond_with_handler(
        lambda request: pages.get(request.args.get("continuation-token"), page(["pre/a.jpg"], token="t"))
    )
    with pytest.raises(CorpusUnavailable, match="answered 500"):
        list(over(hasty).list())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(404, "NoSuchBucket"), "there is no bucket 'bucket'"),
        (error(403, "AccessDenied"), "denies access to its listing"),
        (error(301, "PermanentRedirect"), r"the endpoint only redirects; does it want https\?"),
        (Response("<html>a captive portal", content_type="text/html"), "answered 500"),
        (Response("<html><body>another one</body></html>", content_type="text/html"), "what answers there is no S3 server"),
        (Response("", 200), "what answers there is no S3 server"),
    ],
)
def test_a_bucket_that_cannot_be_listed_says_why(httpserver, hasty, answer, words):
    Script(httpserver, error(404, "NoSuchKey"))
    httpserver.expect_request("/bucket").respond_with_response(answer)
    with pytest.raises(CorpusUnavailable, match=words):
        list(over(hasty).list())


def test_nobody_listening_is_said(hasty):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fs = file_system(f"http://127.0.0.1:{port}", retries={"total_max_attempts": 1})
    with pytest.raises(CorpusUnavailable, match="s3://bucket/pre cannot be reached: EndpointConnectionError"):
        over(fs).read("a.jpg", 100)


def test_keys_that_no_folder_could_have_are_counted_and_left_out(httpserver, hasty):
    keys = ["pre/", "pre/../etc.jpg", "pre//a.jpg", "pre/./b.jpg", "pre/a.jpg", "pre/b//c.jpg", "pre/folder/", "pre/folder/d.jpg"]
    Script(httpserver, error(404, "NoSuchKey"))
    httpserver.expect_request("/bucket").respond_with_response(page(keys))
    coverage = Coverage()
    assert [file.key for file in over(hasty).list(coverage)] == ["a.jpg", "folder/d.jpg"]
    assert coverage.summary() == "4 with keys that are no paths"


def test_a_key_that_is_too_long_with_the_prefix_is_refused_before_anybody_is_asked(httpserver, hasty):
    Script(httpserver, error(500, "InternalError"))
    corpus = over(hasty)
    key = "x" * 1018 + ".jpg"
    with pytest.raises(InvalidKey, match="with the prefix it has 1,026 bytes"):
        corpus.write(key, b"x")
    for ask in (lambda: corpus.version(key), lambda: corpus.read(key, 10), lambda: corpus.read("surrogate\udcff.jpg", 10)):
        with pytest.raises(NotFound):
            ask()
