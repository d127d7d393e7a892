"""Uploads the pictures of a folder with boto3, as one would without this toolkit.

python boto3_upload.py FOLDER BUCKET ENDPOINT_URL
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

THREADS = 16


def main(folder: str, bucket: str, endpoint_url: str) -> None:
    """Puts every picture under its name."""
    config = Config(max_pool_connections=THREADS)
    client = boto3.client("s3", endpoint_url=endpoint_url, config=config)
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(
            lambda file: client.put_object(Bucket=bucket, Key=file.name, Body=file.read_bytes()),
            Path(folder).glob("*.jpg"),
        ):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
