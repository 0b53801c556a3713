"""Waiting for what other threads and processes do: a condition is asked again and again until it is true."""

import time

PATIENCE_S = 60
"""On a machine that does much else. What is promised within a time is measured, not waited for."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.1
"""Between two looks: ever longer ones, for some looks are searches and scrapes, which would take the core that others wait for."""


def wait_until(condition, timeout_s=PATIENCE_S, otherwise="nothing came of it"):
    """What `condition` gives as soon as that is true. Fails with `otherwise`, or what it gives then, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    while not (found := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"{otherwise() if callable(otherwise) else otherwise} after {timeout_s} s")
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, LONGEST_PAUSE_S)
    return found
