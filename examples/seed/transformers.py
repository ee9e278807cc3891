"""Data Transformers: every request's data on its way out, every response's data on its way in.

The page's URL is relative; the server that this file adds answers with an object that holds what it was sent. That
object is what is printed as `content`: the page shows the text that was sent there, but its function leaves any data
that is not a dict as it is, so a text could never come out wrapped. The page's `timestamp` is printed in full.
"""

import asyncio
import time

from atomhttp import AtomHTTP


async def main():
    client = AtomHTTP(baseURL='https://httpbin.org/anything')

    # Transform request data - convert strings to uppercase
    client.defaults.transformRequest = lambda data: data.upper() if isinstance(data, str) else data

    # Transform response data - add timestamp and metadata
    client.defaults.transformResponse = lambda data: {
        'timestamp': time.time(),
        'content': data,
        'version': 'v2'
    } if isinstance(data, dict) else data

    response = await client.post('/api/message', data='hello world')
    print(response.data)
    # {
    # 'timestamp': 1700000000,
    # 'content': 'hello world',
    # 'version': 'v2'
    # }


if __name__ == "__main__":
    asyncio.run(main())
