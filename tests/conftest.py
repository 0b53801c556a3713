"""What every test has, however its run was started."""

import signal


def pytest_configure():
    """Let the processes that tests start take SIGINT, also in a run that ignores it.

    A shell starts what is to run in the background (`make test &` in a script) with SIGINT ignored, and "ignored" is
    inherited by every program below. A handler is not: a new program has the default again. This one does nothing, so
    the run itself still ignores it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
