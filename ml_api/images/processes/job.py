"""One image on its way through decoding: how long it is waited for, and what it is answered when its time is up."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import MlApiError, Overloaded, TooCostly
from ml_api.images.worker import Order

_PATIENCE: Final = 15
"""Nobody waits for a sync: on a busy machine its images may take so many times their limit on the clock, though not of a core."""
_OWN_SHARE: Final = 0.25
"""An image that used this share of its limit on a core may be stopped as too costly while others wait. A sound AVIF of 50
megapixels takes 0.7 s."""


@dataclass(slots=True)
class Job:
    """Moments are on the clock of `perf_counter`."""

    data: bytes
    order: Order
    deadline: Deadline | None
    """None for a sync: nobody waits."""
    started: float = field(default_factory=perf_counter)
    waited_s: float = 0.0
    """For a slot."""

    @property
    def background(self) -> bool:
        return self.deadline is None

    @property
    def until(self) -> float:
        if self.deadline is None:
            return self.started + self.order.cpu_s * _PATIENCE
        return min(self.started + self.order.cpu_s, self.deadline.at)

    def check_time(self, used_s: float, share_s: float) -> None:
        """`used_s` of a core it had, and `share_s` on the clock it may have now. Raises what it is answered if its time is up."""
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
        return Overloaded("The machine is too busy to decode the image; try again later, or send a smaller one.")

    def too_slow(self) -> TooCostly:
        most_s = self.order.cpu_s
        return TooCostly(
            f"Decoding the image takes more than {most_s:g} s, or {_OWN_SHARE * most_s:g} s of a core while others wait",
            lacking="time",
        )
