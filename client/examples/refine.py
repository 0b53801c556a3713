"""Search, judge the first hits, and search again with what was said: `python refine.py URL TEXT`."""

import sys

from ml_api_client import Client


def main(url: str, text: str) -> None:
    with Client(url) as client:
        found = client.search([{"text": text}], limit=3)
        good, *bad = (hit.id for hit in found.hits)
        client.give_feedback(found.query_id, good, "relevant")
        for image in bad:
            client.give_feedback(found.query_id, image, "irrelevant")
        again = client.search([{"text": text}], more_like=[good], less_like=bad)
    print("again:", *(hit.key for hit in again.hits))


main(*sys.argv[1:])
