"""The times of one image that `ProcessDecoder` decodes: until when it may take, and which error its caller gets after that."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import MlApiError, Overloaded, TooCostly
from ml_api.images.worker import Order

_PATIENCE: Final = 15
"""How many times their limit on processor time the images of a sync may take in wall-clock time, as on a busy machine: nobody
waits for them."""
_OWN_SHARE: Final = 0.25
"""An image that used this share of its limit on a core may be stopped as too costly while others wait. A sound AVIF of 50
megapixels takes 0.7 s."""


@dataclass(slots=True)
class Job:
    """One image to be decoded. Moments are on the clock of `perf_counter`."""

    data: bytes
    order: Order
    deadline: Deadline | None
    """None for an image of a sync, which nobody waits for."""
    started: float = field(default_factory=perf_counter)
    waited_s: float = 0.0
    """Seconds spent waiting for a slot."""

    @property
    def background(self) -> bool:
        return self.deadline is None

    @property
    def until(self) -> float:
        if self.deadline is None:
            return self.started + self.order.cpu_s * _PATIENCE
        return min(self.started + self.order.cpu_s, self.deadline.at)

    def check_time(self, used_s: float, share_s: float) -> None:
        """Raise the error that the caller gets, if the time is up: `used_s` of processor time was used, and `share_s` of wall-clock
        time is allowed now."""
        ran_s = perf_counter() - self.started - self.waited_s
        had_its_share = used_s >= _OWN_SHARE * self.order.cpu_s and (not self.background or ran_s >= self.order.cpu_s)
        is_hurried = not self.background and had_its_share and ran_s >= share_s
        if not is_hurried and perf_counter() < self.until:
            return
        if had_its_share and not (self.deadline is not None and self.deadline.passed):
            raise self.too_slow()
        raise self.too_busy()

    def too_busy(self) -> MlApiError:
        if self.deadline is not None and self.deadline.passed:
            return self.deadline.exceeded()
        return Overloaded("The machine is too busy to decode the image; try again later, or send a smaller one.", reason="decoding")

    def too_slow(self) -> TooCostly:
        most_s = self.order.cpu_s
        return TooCostly(
            f"Decoding the image takes more than {most_s:g} s, or {_OWN_SHARE * most_s:g} s of a core while others wait",
            lacking="time",
        )
