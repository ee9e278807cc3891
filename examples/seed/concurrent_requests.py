"""Concurrent Requests: several at the same time, their responses in the order of the requests.

The page's URLs are relative; the server that this file adds has such posts.
"""

import asyncio

from atomhttp import AtomHTTP


async def main():
    client = AtomHTTP(baseURL='https://jsonplaceholder.typicode.com')

    # Using AtomHTTP.all() for concurrent execution
    tasks = [
        client.get('/posts/1'),
        client.get('/posts/2'),
        client.get('/posts/3')
    ]
    responses = await AtomHTTP.all(tasks)

    for resp in responses:
        print(f"Post {resp.data['id']}: {resp.status}")

    # Using spread() to distribute responses to individual arguments
    def process_results(res1, res2, res3):
        return {
            'first': res1.data['title'],
            'second': res2.data['title'],
            'third': res3.data['title']
        }

    result = await AtomHTTP.spread(process_results, *responses)


if __name__ == "__main__":
    asyncio.run(main())
