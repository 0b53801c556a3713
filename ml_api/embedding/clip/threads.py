"""How many of the cores a forward pass computes on: images alone in the model on all of them, anything else on its share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ml_api.embedding.base import Modality


class Threads:
    """torch's, on a CPU. Passes may begin and end in any thread; one that is alone at its beginning keeps what it was given."""

    def __init__(self, cores: int) -> None:
        import torch

        self._share = torch.get_num_threads()
        self._all = max(self._share, cores)
        self._passes = 0
        self._lock = threading.Lock()
        self._given = threading.local()

    @property
    def concurrency(self) -> int:
        """How many passes the cores have room for."""
        return self._all // self._share

    @contextmanager
    def for_a_pass(self, modality: Modality) -> Iterator[None]:
        with self._lock:
            self._passes += 1
            alone = self._passes == 1
        # A text's operators are so short that more threads wait for each other longer than they compute.
        self._give(self._all if alone and modality == "image" else self._share)
        try:
            yield
        finally:
            with self._lock:
                self._passes -= 1

    def _give(self, number: int) -> None:
        """OpenMP keeps the number for each thread that calls it. Setting it costs something even where it changes nothing."""
        import torch

        if getattr(self._given, "number", None) != number:
            torch.set_num_threads(number)
            self._given.number = number
