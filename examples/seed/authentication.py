"""Authentication: the Authorization header, from a user name and password or from a token.

The second request goes to an example's host; put your own in its place.
"""

import asyncio

from atomhttp import AtomHTTP
from atomhttp.auth import BasicAuth, BearerAuth


async def get_oauth_token():
    return 'a-token-of-the-oauth-server'


async def main():
    client = AtomHTTP()

    # Basic Authentication - encodes credentials as base64
    basic = BasicAuth('username', 'password')
    response = await client.get('https://httpbin.org/basic-auth/username/password',
                                headers=basic.get_header())

    # Bearer Token Authentication - adds token directly
    bearer = BearerAuth('your-jwt-token-here')
    response = await client.get('https://api.example.com/protected',
                                headers=bearer.get_header())

    # Using interceptors for complex auth flows
    async def oauth_interceptor(config):
        token = await get_oauth_token()
        config.headers['Authorization'] = f'Bearer {token}'
        return config

    client.interceptors.use(oauth_interceptor)


if __name__ == "__main__":
    asyncio.run(main())
