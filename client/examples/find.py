"""Find images by a text and print where they are: `python find.py URL TEXT`."""

import sys

from ml_api_client import Client

url, text = sys.argv[1:]
with Client(url) as client:
    answer = client.search_by_text(text, limit=3)
    for hit in answer.hits:
        print(f"{hit.score:.3f} {hit.key}")
