"""Progress Tracking: how far an upload and a download have come."""

import asyncio
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from atomhttp import AtomHTTP


def on_upload(loaded, total):
    percent = (loaded / total) * 100 if total > 0 else 0
    print(f"Uploading: {percent:.1f}% ({loaded}/{total} bytes)")

def on_download(loaded, total):
    percent = (loaded / total) * 100 if total > 0 else 0
    print(f"Downloading: {percent:.1f}%")


async def main():
    client = AtomHTTP()

    # Large file upload with progress
    with open('large_file.bin', 'rb') as f:
        response = await client.post(
            'https://httpbin.org/post',
            data=f,
            on_upload_progress=on_upload
        )

    # Download with progress
    response = await client.get(
        'https://httpbin.org/bytes/50000',
        on_download_progress=on_download,
        response_type='blob'
    )


if __name__ == "__main__":
    with TemporaryDirectory() as folder, chdir(folder):
        Path('large_file.bin').write_bytes(bytes(1_000_000))
        asyncio.run(main())
