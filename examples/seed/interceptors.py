"""Interceptors: functions that see, and may change, every request before it is sent and every response after it came.

The page only registers them and sends nothing. With `await client.get(url)` after its last line, this prints
`Request: GET …` with that URL, and for a page that is not there `Error 404: Not Found`.
"""

import asyncio

from atomhttp import AtomHTTP


# Request interceptor - adds auth token to every request
async def auth_interceptor(config):
    config.headers['Authorization'] = 'Bearer my-secret-token'
    return config

# Request interceptor - logs each request
async def log_interceptor(config):
    print(f"Request: {config.method} {config.url}")
    return config

# Response interceptor - handles errors globally
async def error_interceptor(response):
    if response.status >= 400:
        print(f"Error {response.status}: {response.status_text}")
    return response


async def some_interceptor(config):
    config.headers['X-Some'] = 'never sent: it is ejected before the first request'
    return config


async def main():
    client = AtomHTTP()

    # Register interceptors
    client.interceptors.use(auth_interceptor)
    client.interceptors.use(log_interceptor)
    client.interceptors.use(error_interceptor, is_response=True)

    # Remove an interceptor by index
    index = client.interceptors.use(some_interceptor)
    client.interceptors.eject(index)


if __name__ == "__main__":
    asyncio.run(main())
