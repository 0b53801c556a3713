"""Decides when a call is repeated. Every operation of the service is safe to repeat: uploads go by key, a sync is started once."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TRANSIENT: Final = frozenset({429, 502, 503})
"""Statuses of requests that were not processed. 504 is not among them, as its time is up."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when a call is repeated: at most `attempts` in all, after the seconds in `Retry-After` (RFC 9110, 10.2.3). If
    these are more than `most_s`, the answer is final. Without that header the waits grow exponentially from `first_s`, each drawn
    at random below its bound, so that many clients do not come back at once.
    """

    attempts: int = 5
    first_s: float = 0.25
    most_s: float = 60.0

    def wait_s(self, attempt: int, status: int | None, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after an attempt, counted from 1, with this `status`, which is None if there was no answer. Returns None
        to give up.
        """
        if attempt >= self.attempts or (status is not None and status not in TRANSIENT):
            return None
        asked_s = _retry_after_s(headers.get("retry-after", ""))
        if asked_s is None:
            return random.uniform(0, min(self.most_s, self.first_s * 2.0**attempt))  # noqa: S311 - no secret
        return asked_s if asked_s <= self.most_s else None


def _retry_after_s(value: str) -> float | None:
    """The seconds in a Retry-After header, which has a number or a date; None if it is invalid."""
    if value.isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())
