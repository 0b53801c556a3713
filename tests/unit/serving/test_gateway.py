"""Every request's way to the application, over a stand-in for the HTTP server and an application that can be held up."""

import asyncio
import json
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from ml_api.access import Access, Scope
from ml_api.access.keys import create
from ml_api.api import EXTENSION, SHARED_WITH
from ml_api.app import create_app
from ml_api.errors import Unauthorized
from ml_api.images import ImageLimits
from ml_api.serving.admission import Admission
from ml_api.serving.bodies import Bodies
from ml_api.serving.gateway import CHECK_TIMEOUT_S, SEND_TIMEOUT_S, Gateway
from ml_api.serving.lanes import HEAD_LIMIT, READY_THREADS, REFUSAL_LIMIT, STATIC_LIMIT
from ml_api.settings import load_settings
from ml_api.vectors.memory import MemoryStore
from tests import event_loop
from tests.stand_ins import stand_in_services

PATIENCE_S = 20
MAX_UPLOAD_BYTES = 30_000


@pytest.fixture
def app(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    settings = load_settings({"ML_API_CORPUS": str(root), "ML_API_MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES)})
    services = stand_in_services(root, tmp_path / "thumbnails", ImageLimits(MAX_UPLOAD_BYTES, 1_000_000, 20))
    app = create_app(settings, services)
    gate = app.extensions["gate"] = threading.Event()
    app.add_url_rule("/held", "held", lambda: gate.wait(PATIENCE_S) and "let go")
    app.add_url_rule("/long", "long", lambda: (bytes([number]) * 10_000 for number in range(50)))
    yield app
    gate.set()
    services.close()


def gateway_of(app, *, limit=2, threads=1, send_timeout_s=SEND_TIMEOUT_S, check_timeout_s=CHECK_TIMEOUT_S, **patience):
    bodies = Bodies(app.config["MAX_CONTENT_LENGTH"], **patience)
    return Gateway(
        app, Admission(limit, wait_s=60), bodies, threads=threads, send_timeout_s=send_timeout_s, check_timeout_s=check_timeout_s
    )


class Client:
    """One request: what it sends, in messages that may be late, and what it gets."""

    def __init__(self, gateway, path, *parts, method="GET", headers=(), broken=False):
        raw, _, query = path.partition("?")
        names = [(name.encode(), value.encode()) for name, value in headers]
        self.scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "http_version": "1.1",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1"), *names],
            "client": ("127.0.0.1", 4711),
            "server": ("127.0.0.1", 80),
        }
        self.messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if broken:
            self.messages.append({"type": "http.disconnect"})
        elif parts:
            self.messages[-1]["more_body"] = False
        self.unread = len(self.messages)
        self.sent = []
        self.task = asyncio.create_task(gateway(self.scope, self.receive, self.send))

    async def receive(self):
        if not self.messages:
            await asyncio.Event().wait()  # for ever: a client that says no more
        self.unread -= 1
        return self.messages.pop(0) if self.messages[0]["type"] == "http.request" else self.messages[0]

    async def send(self, message):
        self.sent.append(message)

    async def answer(self):
        await asyncio.wait_for(self.task, PATIENCE_S)
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def problem(self):
        return json.loads(self.body)


def run(scenario):
    return event_loop.run(asyncio.wait_for(scenario, PATIENCE_S))


async def until(condition):
    while not condition():  # noqa: ASYNC110 - what is waited for happens in the code under test, which sets no event
        await asyncio.sleep(0.001)


async def fill(gateway, app, count=2):
    """Requests that are let in and are not answered until the gate opens."""
    held = [Client(gateway, "/held") for _ in range(count)]
    await until(lambda: gateway.unanswered == count)
    return held


async def let_go(app, held):
    app.extensions["gate"].set()
    for client in held:
        assert (await client.answer()).body == b"let go"


def test_a_request_gets_the_applications_answer(app):
    async def scenario():
        return await Client(gateway_of(app), "/v1/model", headers=[("x-request-id", "mine")]).answer()

    client = run(scenario())
    assert (client.status, client.headers["x-request-id"]) == (200, "mine")
    assert client.problem["dim"] > 0


@pytest.mark.parametrize("method", ["CONNECT", "XYZ"])
def test_a_request_without_a_path_is_answered_as_one_for_the_root(app, method):
    """`CONNECT host:port` has no path. It was answered 308, with a page of HTML."""

    async def scenario():
        return await Client(gateway_of(app), "", method=method).answer()

    client = run(scenario())
    assert (client.status, client.headers["content-type"]) == (405, "application/problem+json")


def test_who_comes_on_top_is_refused_at_once_and_told_so(app):
    async def scenario():
        gateway = gateway_of(app)
        held = await fill(gateway, app)
        refused = await Client(gateway, "/v1/search/text?q=dog", headers=[("x-request-id", "found-again")]).answer()
        odd = await Client(gateway, "/no/such/path").answer()
        await let_go(app, held)
        after = await Client(gateway, "/v1/stats").answer()
        return refused, odd, after

    refused, odd, after = run(scenario())
    assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
    assert refused.problem["code"] == "overloaded"
    assert refused.problem["request_id"] == refused.headers["x-request-id"] == "found-again"
    assert int(refused.headers["retry-after"]) >= 1
    assert "connection" not in refused.headers, "a search without a body may try again on its connection"
    assert refused.body.endswith(b"}\n"), "as every answer in JSON"
    assert len(odd.headers["x-request-id"]) == 32
    assert after.status == 200
    registry = app.extensions["ml_api"].metrics.registry
    counted = [{"method": "GET", "route": route, "status": "503"} for route in ("/v1/search/text", "__unmatched__")]
    assert [registry.get_sample_value("http_request_duration_seconds_count", labels) for labels in counted] == [1, 1]
    assert registry.get_sample_value("ml_api_rejected_total", {"reason": "queue_full"}) == 2


def test_a_listed_page_can_read_that_the_service_is_overloaded(app):
    app.config[SHARED_WITH] = frozenset({"https://shop.example.org"})

    async def scenario():
        gateway = gateway_of(app, limit=1)
        held = Client(gateway, "/held")
        await until(lambda: gateway.unanswered)
        pages = [
            Client(gateway, "/v1/images", headers=[("origin", f"https://{name}")]) for name in ("shop.example.org", "evil.example")
        ]
        answers = [await page.answer() for page in pages]
        app.extensions["gate"].set()
        await held.answer()
        return answers

    shop, other = run(scenario())
    assert (shop.status, shop.headers["access-control-allow-origin"]) == (503, "https://shop.example.org")
    assert "Retry-After" in shop.headers["access-control-expose-headers"]
    assert (other.status, other.headers["vary"]) == (503, "Origin")
    assert "access-control-allow-origin" not in other.headers


def test_who_is_overloaded_is_alive_and_ready(app):
    async def scenario():
        gateway = gateway_of(app)
        held = await fill(gateway, app)
        states = [(await Client(gateway, path).answer()).status for path in ("/livez", "/readyz")]
        await let_go(app, held)
        return states

    assert run(scenario()) == [200, 200]


def test_health_is_told_below_the_root_path_too_when_the_line_is_full(tmp_path):
    (tmp_path / "images").mkdir()
    services = stand_in_services(tmp_path / "images", tmp_path / "thumbnails", ImageLimits(MAX_UPLOAD_BYTES, 1_000_000, 20))
    app = create_app(load_settings({"ML_API_ROOT_PATH": "/photos"}), services)
    gate = app.extensions["gate"] = threading.Event()
    app.add_url_rule("/held", "held", lambda: gate.wait(PATIENCE_S) and "let go")

    async def scenario():
        gateway = gateway_of(app)
        held = await fill(gateway, app)
        paths = ("/photos/livez", "/photos/readyz", "/livez", "/readyz", "/photos/v1/stats")
        states = [(await Client(gateway, path).answer()).status for path in paths]
        await let_go(app, held)
        return states

    with closing(services):
        assert run(scenario()) == [200, 200, 200, 200, 503]


def test_the_pages_files_and_searches_hold_each_other_up_in_no_thread(app):
    """The gate holds one of each; a second one of the other kind is answered meanwhile."""
    app.add_url_rule("/static/held", "held_file", lambda: app.extensions["gate"].wait(PATIENCE_S) and "let go")

    async def scenario(held, other):
        gateway = gateway_of(app, limit=8)
        blocked = [Client(gateway, held) for _ in range(2)]
        answered = await Client(gateway, other).answer()
        is_held = not any(client.task.done() for client in blocked)
        await let_go(app, blocked)
        return answered.status, is_held

    assert run(scenario("/static/held", "/v1/model")) == (200, True)
    app.extensions["gate"].clear()
    assert run(scenario("/held", "/static/page.js")) == (200, True)


@pytest.mark.parametrize("root", ["", "/photos"])
def test_the_page_is_shown_while_searches_are_refused(tmp_path, root):
    (tmp_path / "images").mkdir()
    services = stand_in_services(tmp_path / "images", tmp_path / "thumbnails", ImageLimits(MAX_UPLOAD_BYTES, 1_000_000, 20))
    app = create_app(load_settings({"ML_API_ROOT_PATH": root}), services)
    gate = app.extensions["gate"] = threading.Event()
    app.add_url_rule("/held", "held", lambda: gate.wait(PATIENCE_S) and "let go")
    browser = [("accept", "text/html,*/*;q=0.8")]

    async def scenario():
        gateway = gateway_of(app)
        held = await fill(gateway, app)
        asked = [
            *(Client(gateway, root + path) for path in ("/", "/static/page.js", "/static/results.css", "/openapi.json", "/docs")),
            Client(gateway, root + "/apidocs/"),
            Client(gateway, root + "/apidocs/assets/swagger-ui.css"),
            Client(gateway, root + "/nothing", headers=browser),
            Client(gateway, root + "/v1/nothing", headers=browser),
            Client(gateway, root + "/v1/stats", headers=browser),
        ]
        statuses = [(await client.answer()).status for client in asked]
        await let_go(app, held)
        return statuses

    with closing(services):
        assert run(scenario()) == [200, 200, 200, 200, 302, 200, 200, 404, 503, 503]


def test_the_pages_files_have_a_limit_too(app):
    app.add_url_rule("/static/held", "held_file", lambda: app.extensions["gate"].wait(PATIENCE_S) and "let go")

    async def scenario():
        gateway = gateway_of(app)
        held = [Client(gateway, "/static/held") for _ in range(STATIC_LIMIT)]
        await until(lambda: gateway.unanswered == STATIC_LIMIT)
        statuses = [(await Client(gateway, path).answer()).status for path in ("/static/page.js", "/", "/v1/model")]
        await let_go(app, held)
        return statuses

    assert run(scenario()) == [503, 200, 200]


def test_who_does_not_take_the_end_of_a_long_answer_is_given_up(app):
    async def stuck_at_the_end(message):
        if message == {"type": "http.response.body", "body": b"", "more_body": False}:
            await asyncio.Event().wait()

    async def scenario():
        gateway = gateway_of(app, send_timeout_s=0.05)
        scope = Client(gateway, "/livez").scope | {"path": "/long", "raw_path": b"/long"}
        await asyncio.wait_for(gateway(scope, asyncio.Event().wait, stuck_at_the_end), PATIENCE_S)
        return gateway.unanswered

    assert run(scenario()) == 0


def test_requests_are_told_by_where_they_are(app):
    registry = app.extensions["ml_api"].metrics.registry

    def told():
        states = ("reading", "waiting", "working", "sending")
        return [registry.get_sample_value("ml_api_requests", {"state": state}) for state in states]

    async def scenario():
        gateway = gateway_of(app, limit=5)
        held = await fill(gateway, app, 3)
        slow = Client(gateway, "/v1/search/image", method="POST", headers=[("content-length", "10")])
        await until(lambda: gateway.unsettled == 4)
        full = told()
        slow.task.cancel()
        await let_go(app, held)
        return full

    assert run(scenario()) == [1, 2, 1, 0]
    assert told() == [0, 0, 0, 0]
    assert registry.get_sample_value("ml_api_requests_limit") == 5


def test_slow_uploads_take_no_place_and_no_thread(app):
    async def scenario():
        gateway = gateway_of(app)
        slow = [Client(gateway, "/v1/search/image", method="POST", headers=[("content-length", "10")]) for _ in range(50)]
        await until(lambda: gateway.unsettled == 50)
        answered = await Client(gateway, "/v1/stats").answer()
        for client in slow:
            client.task.cancel()
        return answered

    assert run(scenario()).status == 200


def test_at_the_end_of_a_stop_all_without_an_answer_are_told_so(app):
    """granian would answer them 500, in plain text."""

    async def scenario():
        gateway = gateway_of(app)
        slow = [("content-length", "10"), ("x-request-id", "slow"), ("origin", "https://shop.example.org")]
        large = ("content-length", str(MAX_UPLOAD_BYTES))
        held = await fill(gateway, app, 1)
        late = [Client(gateway, "/v1/search/image", method="POST", headers=headers) for headers in (slow, [large])]
        await until(lambda: gateway.unsettled == 3)
        gateway.refuse_all()
        await until(lambda: all(client.body for client in (*held, *late)))
        assert gateway.unsettled == 0
        told = [*held, *late]
        for client in told:
            client.task.cancel()  # they would read on what is still sent
        return told

    for client in (told := run(scenario())):
        assert (client.status, client.problem["code"]) == (503, "shutting-down")
        assert (client.headers["connection"], client.headers["content-type"]) == ("close", "application/problem+json")
    assert told[1].headers["x-request-id"] == told[1].problem["request_id"] == "slow"


def test_a_body_arrives_as_it_was_sent(app):
    data = bytes(range(256)) * 100

    async def scenario():
        parts = [data[at : at + 999] for at in range(0, len(data), 999)]
        return await Client(
            gateway_of(app),
            "/v1/search/image",
            *parts,
            method="POST",
            headers=[("content-type", "image/png"), ("transfer-encoding", "chunked")],
        ).answer()

    client = run(scenario())
    assert (client.status, client.problem["code"]) == (422, "image-format")


def test_a_body_in_as_many_chunks_as_bytes_costs_no_more_for_each(app):
    """The sum of all chunks at each of them would take minutes here, in which the event loop does nothing else."""
    chunks = 100_000

    async def scenario():
        left = iter(range(chunks - 1, -1, -1))

        async def receive():
            return {"type": "http.request", "body": b"x", "more_body": next(left) > 0}

        return await Bodies(chunks).read(receive)

    assert run(scenario()) == b"x" * chunks


@pytest.mark.parametrize(
    ("headers", "connection"),
    [
        ([("content-length", "20")], None),
        ([("content-length", "20"), ("expect", "100-continue")], "close"),
        ([("content-length", "2000000")], "close"),
    ],
    ids=["small", "asks first", "large"],
)
def test_over_capacity_a_small_body_is_read_and_its_connection_stays(app, headers, connection):
    """It costs half of answering first, reading then, and a new connection for the next try."""

    async def scenario():
        gateway = gateway_of(app)
        held = await fill(gateway, app)
        refused = await Client(gateway, "/v1/search/image", b"x" * 10, b"x" * 10, method="POST", headers=headers).answer()
        await let_go(app, held)
        return refused

    refused = run(scenario())
    assert (refused.status, refused.unread, refused.headers.get("connection")) == (503, 0, connection)


def test_over_capacity_a_body_that_is_late_is_not_waited_for(app):
    async def scenario():
        gateway = gateway_of(app)
        held = await fill(gateway, app)
        slow = Client(gateway, "/v1/search/image", method="POST", headers=[("content-length", "20")])
        await until(lambda: slow.sent)
        slow.task.cancel()
        await let_go(app, held)
        return slow

    refused = run(scenario())
    assert (refused.status, refused.headers["connection"]) == (503, "close")


@pytest.mark.parametrize(
    ("headers", "parts", "unread"),
    [([("content-length", "60000000")], [b"x" * 100] * 10, 0), ([("transfer-encoding", "chunked")], [b"x" * 60_000] * 10, 0)],
    ids=["stated", "chunked"],
)
def test_a_body_over_the_limit_is_refused_by_name_and_read_on(app, headers, parts, unread):
    async def scenario():
        return await Client(gateway_of(app), "/v1/search/image", *parts, method="POST", headers=headers).answer()

    client = run(scenario())
    assert (client.status, client.problem["code"], client.headers["connection"]) == (413, "too-large", "close")
    assert "ML_API_MAX_UPLOAD_BYTES" in client.problem["detail"]
    assert client.problem["request_id"] == client.headers["x-request-id"]
    assert client.unread == unread


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/search/text?q=" + "x" * 10_000, [], 414, "uri-too-long"),
        ("/v1/stats", [("x-long", "x" * 100_000)], 431, "headers-too-large"),
    ],
    ids=["URL", "headers"],
)
def test_a_head_over_the_limits_is_a_problem_with_an_id(app, path, headers, status, code):
    async def scenario():
        return await Client(gateway_of(app), path, headers=headers).answer()

    client = run(scenario())
    assert (client.status, client.problem["code"]) == (status, code)
    assert client.problem["request_id"] == client.headers["x-request-id"]


def test_a_body_that_breaks_off_or_is_malformed_is_a_400(app, caplog):
    async def scenario():
        headers = [("transfer-encoding", "chunked")]
        return await Client(gateway_of(app), "/v1/search/image", b"abc", method="POST", headers=headers, broken=True).answer()

    client = run(scenario())
    assert (client.status, client.problem["code"]) == (400, "malformed-http")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("limits", [{"silence_s": 0.01}, {"total_s": 0.01}], ids=["silence", "all of it"])
def test_a_body_has_a_time_limit(app, limits):
    async def scenario():
        return await Client(
            gateway_of(app, **limits), "/v1/search/image", method="POST", headers=[("content-length", "10")]
        ).answer()

    client = run(scenario())
    assert (client.status, client.problem["code"]) == (408, "request-timeout")


def test_a_long_answer_comes_in_pieces_that_wait_for_their_reader(app):
    async def scenario():
        return await Client(gateway_of(app), "/long").answer()

    client = run(scenario())
    assert client.body == b"".join(bytes([number]) * 10_000 for number in range(50))
    assert 2 < len(client.sent) < 12


@pytest.fixture
def guarded(app):
    """The same application, which asks for keys; and a key that may search."""
    services = app.extensions[EXTENSION]
    _, key = create(services.database, "laptop", [Scope.SEARCH], now=0.0)
    return create_app(load_settings({}), replace(services, access=Access(services.database))), key


@pytest.mark.parametrize("length", [("content-length", "200000"), ("transfer-encoding", "chunked")], ids=["stated", "chunked"])
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, "unauthorized"),
        ([("x-api-key", "wrong")], 401, "invalid-api-key"),
        ([("sec-fetch-site", "cross-site")], 403, "cross-origin"),
    ],
)
def test_who_may_not_send_a_large_body_is_told_before_it_is_read(guarded, length, headers, status, code):
    async def scenario():
        gateway = gateway_of(guarded[0], linger_s=0.01)
        client = Client(gateway, "/v1/search/image", method="POST", headers=[length, *headers])  # whose body never comes
        return await client.answer()

    client = run(scenario())
    assert (client.status, client.problem["code"], client.headers["connection"]) == (status, code, "close")
    assert client.problem["request_id"] == client.headers["x-request-id"]


def test_who_may_send_a_large_body_is_heard(guarded):
    app, key = guarded
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000

    async def scenario():
        headers = [("content-length", "200000"), ("content-type", "image/png"), ("authorization", f"Bearer {key}")]
        return await Client(gateway_of(app), "/v1/search/image", b"x" * 200_000, method="POST", headers=headers).answer()

    assert run(scenario()).problem["code"] == "too-large", "the image is, for the model"


def test_a_small_body_is_read_first_and_its_connection_stays(guarded):
    async def scenario():
        headers = [("content-length", "11"), ("content-type", "application/json")]
        return await Client(gateway_of(guarded[0]), "/v1/search/text", b'{"q":"red"}', method="POST", headers=headers).answer()

    client = run(scenario())
    assert client.status == 401
    assert "connection" not in client.headers


class HeldStore(MemoryStore):
    """Its check hangs until the gate opens."""

    def __init__(self, gate):
        super().__init__()
        self._gate = gate

    def ping(self):
        self._gate.wait(PATIENCE_S)


def too_long(gateway):
    return Client(gateway, "/v1/search/text?q=" + "x" * 10_000)


def test_refusals_do_not_wait_for_checks_of_a_store_that_hangs(tmp_path):
    (tmp_path / "images").mkdir()
    gate = threading.Event()
    limits = ImageLimits(MAX_UPLOAD_BYTES, 1_000_000, 20)
    services = stand_in_services(tmp_path / "images", tmp_path / "thumbnails", limits, store=HeldStore(gate))
    app = create_app(load_settings({}), services)

    async def scenario():
        gateway = gateway_of(app)
        checks = [Client(gateway, "/readyz") for _ in range(READY_THREADS)]
        refused = await too_long(gateway).answer()
        is_held = not any(check.task.done() for check in checks)
        gate.set()
        return is_held, refused.status, [(await check.answer()).status for check in checks]

    with closing(services):
        assert run(scenario()) == (True, 414, [200] * READY_THREADS)


def test_a_flood_of_refusals_delays_no_check_of_readiness_and_has_a_limit(app):
    @app.after_request
    def hold(response):
        if response.status_code == 414:
            app.extensions["gate"].wait(PATIENCE_S)
        return response

    async def scenario():
        gateway = gateway_of(app)
        held = [too_long(gateway) for _ in range(REFUSAL_LIMIT)]
        await until(lambda: gateway.unanswered == REFUSAL_LIMIT)
        statuses = [(await client.answer()).status for client in (too_long(gateway), Client(gateway, "/readyz"))]
        app.extensions["gate"].set()
        return statuses, {(await client.answer()).status for client in held}

    assert run(scenario()) == ([503, 200], {414})


class HeldAccess:
    """Keys that cannot be looked up before the gate opens."""

    def __init__(self, gate):
        self._gate = gate

    def key_of(self, _secret):
        self._gate.wait(PATIENCE_S)
        raise Unauthorized("the API key is not one of this service's")


def large(gateway):
    headers = [("content-length", "20000000"), ("x-api-key", "unknown")]
    return Client(gateway, "/v1/search/image", method="POST", headers=headers)


@pytest.fixture
def undecided(tmp_path):
    """An application that cannot tell who asks; its gate."""
    (tmp_path / "images").mkdir()
    gate = threading.Event()
    services = stand_in_services(tmp_path / "images", tmp_path / "thumbnails", ImageLimits(20_000_000, 1_000_000, 20))
    settings = load_settings({"ML_API_MAX_UPLOAD_BYTES": "20000000"})
    with closing(services):
        yield create_app(settings, replace(services, access=HeldAccess(gate))), gate
        gate.set()


def test_who_cannot_be_looked_up_in_time_is_told_to_try_again(undecided, caplog):
    app, _ = undecided

    async def scenario():
        return await large(gateway_of(app, check_timeout_s=0.01, linger_s=0.01)).answer()

    client = run(scenario())
    assert (client.status, client.problem["code"], client.headers["connection"]) == (503, "overloaded", "close")
    assert client.problem["detail"] == "the sender of this request cannot be checked in time; try again", (
        "it is not that there are too many"
    )
    assert f"refused: {client.problem['detail']}" in caplog.messages


def test_so_many_who_wait_to_be_looked_up_have_a_limit(undecided):
    app, gate = undecided

    async def scenario():
        gateway = gateway_of(app, check_timeout_s=PATIENCE_S, linger_s=0.01)
        waiting = [large(gateway) for _ in range(HEAD_LIMIT)]
        over = await large(gateway).answer()
        gate.set()
        return over.status, {(await client.answer()).status for client in waiting}

    assert run(scenario()) == (503, {401})
