"""`python -m monitoring.logs_setup elasticsearch|kibana`: wait for it and set it up. Exit code 1 and the reason if that fails."""

import os
import sys

from monitoring.client import Client, Failure
from monitoring.logs_setup import elasticsearch, kibana


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["elasticsearch"]:
                passwords = elasticsearch.Passwords(
                    kibana_system=_variable("KIBANA_SYSTEM_PASSWORD"),
                    shipper=_variable("ELASTICSEARCH_SHIPPER_PASSWORD"),
                    reader=_variable("ELASTICSEARCH_READER_PASSWORD"),
                )
                elasticsearch.set_up(_client("ELASTICSEARCH_URL"), passwords, _timeout_s())
            case ["kibana"]:
                kibana.set_up(_client("KIBANA_URL"), _timeout_s())
            case _:
                print("usage: python -m monitoring.logs_setup elasticsearch|kibana", file=sys.stderr)
                return 2
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    print(f"{arguments[0]} is set up for the logs of ml_api")
    return 0


def _client(url: str) -> Client:
    return Client(_variable(url).rstrip("/"), "elastic", _variable("ELASTIC_PASSWORD"))


def _timeout_s() -> float:
    return float(os.environ.get("SETUP_TIMEOUT_S", "300"))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Failure(f"the variable {name} is not set")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
