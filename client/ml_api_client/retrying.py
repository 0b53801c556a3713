"""When a call is tried again. Every operation of the service may be repeated: uploads go by key, a sync is started once."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TRANSIENT: Final = frozenset({429, 502, 503})
"""Statuses of requests that were not worked on. 504 is not among them: its time is up."""


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `attempts` in all. The service says after how many seconds to come again (`Retry-After`, RFC 9110, 10.2.3); if that
    is more than `most_s`, or the attempts are used up, its answer is final. Where it says nothing, the waits grow from `first_s`,
    each drawn at random below its bound, so that many clients do not come again together.
    """

    attempts: int = 5
    first_s: float = 0.25
    most_s: float = 60.0

    def wait_s(self, attempt: int, status: int | None, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after the `attempt`-th (from 1), which was answered with `status`, or None with no answer at all; None to
        give up.
        """
        if attempt >= self.attempts or (status is not None and status not in TRANSIENT):
            return None
        asked_s = _retry_after_s(headers.get("retry-after", ""))
        if asked_s is None:
            return random.uniform(0, min(self.most_s, self.first_s * 2.0**attempt))  # noqa: S311 - no secret
        return asked_s if asked_s <= self.most_s else None


def _retry_after_s(value: str) -> float | None:
    """Seconds, or a date."""
    if value.isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())
