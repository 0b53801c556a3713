"""What a command found or did: plain text on the standard output. Logs, progress and errors are on the standard error output."""


def tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the output of the command
