"""examples/oauth.py, against an API and an authorization server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from examples.programs.program import Done, run
from support.origin import Answer, Origin, Received
from support.seed_origin import answer

PATHS = [f"/orders/{number}" for number in range(1, 11)]
ID, SECRET = "my-program", "s3cret:&="


class Authority(Origin):
    """Both servers. `good` are the tokens that are taken; nobody is refused before `together` requests have come."""

    def __init__(self) -> None:
        super().__init__()
        self.good: set[str] = set()
        self.grants: list[dict[str, str]] = []
        self.refresh_token: str | None = None
        self.together = 0
        self.routes = {"/token": self._grant, **dict.fromkeys(PATHS, self._call)}

    def _grant(self, request: Received) -> Answer:
        assert request.method == "POST"
        assert request.get("Content-Type") == "application/x-www-form-urlencoded"
        assert request.get("Authorization") == f"Basic {base64.b64encode(f'{ID}:{SECRET}'.encode()).decode()}"
        grant = dict(parse_qsl(request.body.decode()))
        self.grants.append(grant)
        if grant.get("refresh_token", self.refresh_token) != self.refresh_token:
            return answer({"error": "invalid_grant"}, 400)
        token = f"token-{len(self.grants)}"
        self.good = {token}
        given: dict[str, Any] = {"access_token": token, "token_type": "bearer", "expires_in": 3600}
        return answer(given | ({"refresh_token": self.refresh_token} if self.refresh_token else {}))

    def _call(self, request: Received) -> Answer:
        if (request.get("Authorization") or "").removeprefix("Bearer ") in self.good:
            return answer({"order": request.path})
        self.wait_for_requests(self.together)
        return Answer(status=401, headers=[("WWW-Authenticate", "Bearer")])

    @property
    def calls(self) -> int:
        return sum(request.path in PATHS for request in self.requests)


@pytest.fixture
def authority() -> Iterator[Authority]:
    with Authority() as running:
        yield running


def call(authority: Origin, folder: Path, *paths: str, token_url: str = "") -> Done:
    where = token_url or f"{authority.url}/token"
    secrets = {"CLIENT_ID": ID, "CLIENT_SECRET": SECRET}
    return run("oauth.py", "--token-url", where, authority.url, *(paths or PATHS), folder=folder, **secrets)


def check_all_good(done: Done, authority: Origin, *asked: str) -> None:
    assert done.code == 0, done
    assert done.out.splitlines() == [f"200 {authority.url}{path}" for path in PATHS]
    assert done.err.splitlines() == [f"asking for a token: {grant}" for grant in asked]


def kept(folder: Path) -> Any:
    store = folder / "tokens.json"
    assert store.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["tokens.json"]
    return json.loads(store.read_text())


def test_one_token_serves_all_and_the_next_run(authority: Authority, tmp_path: Path) -> None:
    check_all_good(call(authority, tmp_path), authority, "client_credentials")
    assert authority.grants == [{"grant_type": "client_credentials"}]
    assert kept(tmp_path) == {"access_token": "token-1", "refresh_token": None}

    check_all_good(call(authority, tmp_path), authority)
    assert len(authority.grants) == 1
    assert authority.calls == 2 * len(PATHS)


def test_one_refresh_for_all_that_were_refused(authority: Authority, tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    store.write_text(json.dumps({"access_token": "expired", "refresh_token": "r-1"}))
    authority.refresh_token = "r-1"
    # Nobody is told 401 before everybody has asked.
    authority.together = len(PATHS)
    check_all_good(call(authority, tmp_path), authority, "refresh_token")
    assert authority.grants == [{"grant_type": "refresh_token", "refresh_token": "r-1"}]
    assert authority.calls == 2 * len(PATHS)
    assert kept(tmp_path) == {"access_token": "token-1", "refresh_token": "r-1"}


def test_a_refresh_token_that_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text(json.dumps({"access_token": "expired", "refresh_token": "r-0"}))
    authority.refresh_token = "r-1"
    check_all_good(call(authority, tmp_path), authority, "refresh_token", "client_credentials")
    assert kept(tmp_path) == {"access_token": "token-2", "refresh_token": "r-1"}


def test_a_refresh_token_that_stays_good(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text(json.dumps({"access_token": "expired", "refresh_token": "r-1"}))
    authority.routes["/token"] = lambda _: answer({"access_token": "token-1"})
    authority.good = {"token-1"}
    check_all_good(call(authority, tmp_path), authority, "refresh_token")
    assert kept(tmp_path) == {"access_token": "token-1", "refresh_token": "r-1"}


def test_a_token_that_the_api_does_not_take(authority: Authority, tmp_path: Path) -> None:
    authority.routes["/token"] = lambda _: answer({"access_token": "of-another-api"})
    done = call(authority, tmp_path, PATHS[0])
    # Sent twice with a new token each, then it is the answer.
    assert (done.code, done.out) == (1, f"401 {authority.url}{PATHS[0]}\n")
    assert authority.calls == 2


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (answer({"error": "invalid_client"}, 401), r"status 401 Unauthorized: .*/token \(invalid_client\)"),
        (Answer(status=500), "status 500 Internal Server Error: .*/token"),
        (Answer(status=307, headers=[("Location", "/elsewhere")]), "status 307 Temporary Redirect: .*/token"),
        (answer({"token_type": "bearer"}), "access_token"),
    ],
    ids=["refused", "broken", "redirected", "no token"],
)
def test_an_authority_that_gives_no_token(reply: Answer, line: str, authority: Authority, tmp_path: Path) -> None:
    authority.routes["/token"] = lambda _: reply
    done = call(authority, tmp_path)
    assert done.err.splitlines()[0] == "asking for a token: client_credentials"
    done._replace(err=done.err.partition("\n")[2]).check_failure(f"^oauth.py: .*{line}")
    assert SECRET not in done.err
    # The secret went nowhere else, and no file was left.
    assert [request.path for request in authority.requests] == ["/token"]
    assert list(tmp_path.iterdir()) == []


def test_a_token_goes_to_no_other_origin(authority: Authority, tmp_path: Path) -> None:
    with Origin() as other:
        done = call(authority, tmp_path, PATHS[0], f"{other.url}/echo")
        assert done.code == 0
        assert other.requests[0].get("Authorization") is None


@pytest.mark.parametrize("content", ["[]", "{"])
def test_a_store_that_is_none(content: str, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text(content)
    call(authority, tmp_path).check_failure(r"^oauth.py: tokens.json holds no tokens$")


def test_no_credentials(tmp_path: Path) -> None:
    done = run("oauth.py", "--token-url", "http://x.test", "http://x.test", "/", folder=tmp_path, CLIENT_ID="id")
    assert done.code == 2
    assert done.err.splitlines()[-1] == "oauth.py: error: CLIENT_ID and CLIENT_SECRET have to be set in the environment"
