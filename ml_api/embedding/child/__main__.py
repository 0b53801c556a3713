"""The child: `python -m ml_api.embedding.child FD` loads a model and embeds what comes in through the socket FD.

It ends when the other end of its socket is closed, however its parent ended. It is deaf to the signals that a terminal or a
supervisor sends to everybody: its parent needs it until the last request is answered.
"""

import logging
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from ml_api import logs
from ml_api.embedding.base import Encoder
from ml_api.embedding.child.messages import Answer, Load, Loaded, Refused, Request
from ml_api.embedding.clip import ClipEncoder, memory
from ml_api.errors import ConfigError, ModelUnavailable

_log = logging.getLogger(__name__)


def main(descriptor: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with Connection(descriptor) as parent, suppress(EOFError, ConnectionError):
        load: Load = parent.recv()
        logs.configure(load.log_level, load.environment)
        try:
            encoder = ClipEncoder(load.pretrained, device=load.device, precision=load.precision)
        except ConfigError as exc:
            parent.send(Refused(exc.problems))
            return
        parent.send(Loaded(encoder.model, encoder.concurrency))
        _serve(parent, encoder)


def _serve(parent: "Connection[Any, Any]", encoder: Encoder) -> None:
    """Until the parent is gone: as many threads as the encoder has a use for read requests in turns, each answers its own."""
    reading, writing = threading.Lock(), threading.Lock()

    def serve() -> None:
        with suppress(EOFError, ConnectionError):
            while True:
                with reading:
                    request: Request = parent.recv()
                answer = _answer(encoder, request)
                with writing:
                    parent.send(answer)

    threads = [threading.Thread(target=serve, name="embed") for _ in range(encoder.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answer(encoder: Encoder, request: Request) -> Answer:
    device = encoder.model.device
    kept = memory(device) if device.startswith("cuda") else {}
    try:
        return Answer(request.number, encoder.embed(request.items), memory=kept)
    except ModelUnavailable as exc:
        return Answer(request.number, None, exc.detail, exc.slug, kept)
    except Exception:  # noqa: BLE001 - whatever it was, who asked gets an answer
        _log.exception("the model failed")
        return Answer(request.number, None, "The model failed.", ModelUnavailable.code, kept)


if __name__ == "__main__":
    main(int(sys.argv[1]))
