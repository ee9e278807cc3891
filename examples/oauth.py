"""Calls an API whose tokens expire: OAuth 2.0, by client credentials and refresh tokens (RFC 6749).

    export CLIENT_ID=… CLIENT_SECRET=…
    python examples/oauth.py --token-url https://auth.example.com/token https://api.example.com /orders/{1..50}

requests all paths at once and prints each one's status. However many of them are told 401, because the token has
expired: one new token is asked for, all of them wait for it, and each is sent again with it. The tokens are kept for
the next run, in a file that its owner alone can read (`--store`, tokens.json).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPStatusError
from atomhttp.auth import RefreshingAuth


@dataclass
class Tokens:
    """What the authorization server answers (RFC 6749 section 5.1), as far as it is needed; also what is kept."""

    access_token: str
    refresh_token: str | None = None


def read_tokens(store: Path) -> Tokens:
    try:
        return Tokens(**json.loads(store.read_text()))
    except (ValueError, TypeError):
        raise ValueError(f"{store} holds no tokens") from None


def write_tokens(store: Path, tokens: Tokens) -> None:
    new = store.with_name(f"{store.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(tokens), file)
    new.replace(store)


class TokenSource:
    """Gets tokens from the authorization server, and keeps them in a file."""

    def __init__(self, client: AtomHTTP, url: str, credentials: tuple[str, str], store: Path) -> None:
        self._client = client
        self._url = url
        self._credentials = credentials
        self._store = store
        self.tokens = read_tokens(store) if store.exists() else None

    async def renew(self) -> str:
        """A new access token: for the refresh token while that is good, else for the client's credentials."""
        self.tokens = await self._refresh() or await self._ask({"grant_type": "client_credentials"})
        write_tokens(self._store, self.tokens)
        return self.tokens.access_token

    async def _refresh(self) -> Tokens | None:
        old = self.tokens.refresh_token if self.tokens else None
        if old is None:
            return None
        try:
            tokens = await self._ask({"grant_type": "refresh_token", "refresh_token": old})
        except AtomHTTPStatusError as error:
            if error.status == 400:
                return None  # it has expired, too, or was revoked
            raise
        # A server that sends no new one means that the old one stays good.
        tokens.refresh_token = tokens.refresh_token or old
        return tokens

    async def _ask(self, form: dict[str, str]) -> Tokens:
        print("asking for a token:", form["grant_type"], file=sys.stderr)
        # The call's own `auth`, and no redirect: the secret goes to this URL only.
        response = await self._client.post(
            self._url, form=form, auth=self._credentials, maxRedirects=0, validateStatus=True, response_type=Tokens
        )
        return response.data


async def fetch_all(arguments: argparse.Namespace, credentials: tuple[str, str]) -> bool:
    """Requests all paths; whether every answer was a good one."""
    async with AtomHTTP(baseURL=arguments.api) as client:
        source = TokenSource(client, arguments.token_url, credentials, arguments.store)
        client.defaults.auth = RefreshingAuth(source.renew, source.tokens.access_token if source.tokens else None)
        responses = await AtomHTTP.all([client.get(path) for path in arguments.paths], limit=20)
    for response in responses:
        print(response.status, response.url)
    return all(response.ok for response in responses)


def explain(error: Exception) -> str:
    """The error, with the authorization server's word for it (RFC 6749 section 5.2)."""
    answer = error.response.data if isinstance(error, AtomHTTPStatusError) else None
    return f"{error} ({answer['error']})" if isinstance(answer, dict) and "error" in answer else str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description="Call an API whose tokens expire.")
    parser.add_argument("api", help="its base URL; no other origin gets the token")
    parser.add_argument("paths", nargs="+", help="what to request there")
    parser.add_argument("--token-url", required=True, help="where tokens come from")
    parser.add_argument(
        "--store", type=Path, default="tokens.json", help="the file of the tokens (default: %(default)s)"
    )
    arguments = parser.parse_args()
    credentials = (os.environ.get("CLIENT_ID", ""), os.environ.get("CLIENT_SECRET", ""))
    if not all(credentials):
        parser.error("CLIENT_ID and CLIENT_SECRET have to be set in the environment")
    try:
        sys.exit(0 if asyncio.run(fetch_all(arguments, credentials)) else 1)
    except (AtomHTTPError, OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {explain(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
