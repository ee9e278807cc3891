"""Blob & ArrayBuffer: binary data as bytes, and as a stream when it is too large for memory."""

import asyncio
from contextlib import chdir
from tempfile import TemporaryDirectory

from atomhttp import AtomHTTP


def process_chunk(chunk):
    print(f"{len(chunk)} bytes")


async def main():
    client = AtomHTTP()

    # Download as Blob (bytes) - best for small to medium files
    response = await client.get('https://httpbin.org/image/png', response_type='blob')
    image_data = response.data # bytes

    # Save to file
    with open('image.png', 'wb') as f:
        f.write(image_data)

    # Download as ArrayBuffer (alias for blob)
    response = await client.get('https://httpbin.org/bytes/10000', response_type='arraybuffer')
    binary_data = response.data # bytes

    # Download as Stream - best for very large files
    response = await client.get('https://example.com/large-file.zip', response_type='stream')
    async for chunk in response.data:
        process_chunk(chunk)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, chdir(folder):
        asyncio.run(main())
