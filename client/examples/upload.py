"""Upload the images of a folder, and say what became of each: `python upload.py URL FOLDER PREFIX`."""

import sys
from pathlib import Path

from ml_api_client import Client

url, folder, prefix = sys.argv[1:]
with Client(url, api_key=None) as client:
    for uploaded in client.upload_folder(Path(folder), prefix=prefix):
        print(uploaded.key, uploaded.image.state if uploaded.image else uploaded.error)
    print(sum(1 for _ in client.images(prefix=prefix)), "images are stored there")
