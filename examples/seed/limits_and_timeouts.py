"""Limits & Timeouts: what a client puts up with, set once and overridden by a call.

With `socketPath`, every request of this client goes to that socket: whatever listens there is asked, by https, for
`slow-api.com`. Put your own socket and host in their place.
"""

import asyncio

from atomhttp import AtomHTTP


async def main():
    client = AtomHTTP({
        'timeout': 30,
        'maxRedirects': 5,
        'maxBodyLength': 10 * 1024 * 1024, # 10MB
        'maxContentLength': 50 * 1024 * 1024, # 50MB
        'keepAlive': True,
        'socketPath': '/var/run/docker.sock',
        'decompress': True
    })

    # Override timeout for a specific request
    response = await client.get('https://slow-api.com', timeout=5)


if __name__ == "__main__":
    asyncio.run(main())
