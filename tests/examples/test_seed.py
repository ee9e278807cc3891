"""Every example of the page does what the page says, against a real httpbin and the servers that the page only names.

Each test runs twice: the example as it is, and its synchronous twin, the same text without async and await.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTPTimeoutError
from examples.playing import API, HTTPBIN, Player, settled
from support.httpbin import Httpbin, png
from support.peer import Peer, expect_head, hold
from support.seed_origin import LARGE_FILE, REPLY, TITLES, Part, SeedOrigin, parts

SLOW_API = "https://slow-api.com"
DOCKER = "/var/run/docker.sock"
POSTS = "https://jsonplaceholder.typicode.com"
ECHO = "https://httpbin.org/anything"

UPLOAD = bytes(range(256)) * 4_000
PICTURE = b"\xff\xd8\xff\xe0 a picture \r\n--not-a-boundary--\r\n\xff\xd9"
RESUME = b"%PDF-1.7\r\n%%EOF\r\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples read and write files where they are started."""
    monkeypatch.chdir(tmp_path)


def content(name: str) -> bytes:
    """What is in the file that an example has written."""
    return Path(name).read_bytes()


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    output, errors = capsys.readouterr()
    assert errors == ""
    return output.splitlines()


# Interceptors


async def test_interceptors(player: Player, seed_origin: SeedOrigin, capsys: pytest.CaptureFixture[str]) -> None:
    async with player.play("interceptors", {}) as example:
        missing, there = f"{seed_origin.url}/status/404", f"{seed_origin.url}/protected"
        response = await settled(example.client.get(missing))
        assert (response.status, response.data) == (404, None)
        assert printed(capsys) == [f"Request: GET {missing}", "Error 404: Not Found"]

        response = await settled(example.client.post(there, data="x"))
        assert response.data == {"welcome": "Bearer my-secret-token"}
        assert printed(capsys) == [f"Request: POST {there}"]
    assert [request.get("Authorization") for request in seed_origin.requests] == ["Bearer my-secret-token"] * 2


async def test_the_interceptor_that_was_ejected_is_not_asked(player: Player, seed_origin: SeedOrigin) -> None:
    async with player.play("interceptors", {}) as example:
        await settled(example.client.get(seed_origin.url))
        # Its number is the fourth, and no other interceptor has gone with it.
        assert example.values["index"] == [3]
        assert seed_origin.requests[0].get("X-Some") is None
        assert seed_origin.requests[0].get("Authorization") == "Bearer my-secret-token"


async def test_interceptors_at_httpbin(player: Player, httpbin: Httpbin, capsys: pytest.CaptureFixture[str]) -> None:
    async with player.play("interceptors", {}) as example:
        response = await settled(example.client.get(f"{httpbin.url}/bearer"))
        assert response.data == {"authenticated": True, "token": "my-secret-token"}
        await settled(example.client.get(f"{httpbin.url}/status/404"))
        assert printed(capsys) == [
            f"Request: GET {httpbin.url}/bearer",
            f"Request: GET {httpbin.url}/status/404",
            "Error 404: NOT FOUND",
        ]


# Progress Tracking


def check_progress(lines: list[str], upload: int, download: int) -> None:
    """The lines are the page's, of strictly growing numbers, and both transfers end at 100 %."""
    uploads = [re.fullmatch(r"Uploading: (\d+\.\d)% \((\d+)/(\d+) bytes\)", line) for line in lines]
    numbers = [(float(found[1]), int(found[2]), int(found[3])) for found in uploads if found]
    loaded = [each for _, each, _ in numbers]
    assert loaded == sorted(set(loaded))
    assert loaded[-1] == upload
    assert all(total == upload and percent == round(each / total * 100, 1) for percent, each, total in numbers)
    # At least one call each 256 KiB.
    assert all(later - earlier <= 256 * 1024 for earlier, later in zip([0, *loaded], loaded, strict=False))
    assert lines[len(numbers) - 1] == f"Uploading: 100.0% ({upload}/{upload} bytes)"

    downloads = [re.fullmatch(r"Downloading: (\d+\.\d)%", line) for line in lines[len(numbers) :]]
    percents = [float(found[1]) for found in downloads if found]
    assert len(numbers) + len(percents) == len(lines)
    assert percents == sorted(percents)
    assert percents[-1] == 100.0
    assert len(percents) <= download


@pytest.fixture
def _file_to_upload(_in_a_folder_of_its_own: None) -> None:
    Path("large_file.bin").write_bytes(UPLOAD)


@pytest.mark.usefixtures("_file_to_upload")
async def test_progress(player: Player, httpbin: Httpbin, capsys: pytest.CaptureFixture[str]) -> None:
    async with player.play("progress", {HTTPBIN: httpbin.url}) as example:
        check_progress(printed(capsys), len(UPLOAD), 50_000)
        sent, received = example.responses
        prefix, _, data = sent.data["data"].partition("base64,")
        assert base64.b64decode(data) == UPLOAD
        assert prefix.startswith("data:application/octet-stream")
        assert sent.data["headers"]["Content-Length"] == str(len(UPLOAD))
        assert type(received.data) is bytes
        assert len(received.data) == 50_000


@pytest.fixture
def _empty_file_to_upload(_in_a_folder_of_its_own: None) -> None:
    Path("large_file.bin").touch()


@pytest.mark.usefixtures("_empty_file_to_upload")
async def test_progress_of_a_file_that_has_no_bytes(
    player: Player, httpbin: Httpbin, capsys: pytest.CaptureFixture[str]
) -> None:
    async with player.play("progress", {HTTPBIN: httpbin.url}) as example:
        assert printed(capsys)[0] == "Uploading: 0.0% (0/0 bytes)"
        assert example.responses[0].data["data"] == ""


# FormData & File Uploads


@pytest.fixture
def _files_to_upload(_in_a_folder_of_its_own: None) -> None:
    Path("profile.jpg").write_bytes(PICTURE)
    Path("resume.pdf").write_bytes(RESUME)


# The page opens the files and leaves them open.
leaves_files_open = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@leaves_files_open
@pytest.mark.usefixtures("_files_to_upload")
async def test_form_data(player: Player, seed_origin: SeedOrigin) -> None:
    async with player.play("form_data", {API: seed_origin.url}) as example:
        assert example.responses[0].data == {"stored": True}
    [request] = seed_origin.requests
    assert (request.method, request.target) == ("POST", "/upload")
    assert parts(request) == [
        Part("username", None, None, b"johndoe"),
        Part("email", None, None, b"john@example.com"),
        Part("avatar", "profile.jpg", "image/jpeg", PICTURE),
        Part("document", "resume.pdf", "application/pdf", RESUME),
        Part("tags", None, None, b"python"),
        Part("tags", None, None, b"http"),
        Part("tags", None, None, b"async"),
    ]
    # Every size is known, so the server is told before.
    assert request.get("Content-Length") == str(len(request.body))


@leaves_files_open
@pytest.mark.usefixtures("_files_to_upload")
async def test_form_data_at_httpbin(player: Player, httpbin: Httpbin) -> None:
    async with player.play("form_data", {f"{API}/upload": f"{httpbin.url}/post"}) as example:
        seen = example.responses[0].data
    assert seen["form"] == {"username": "johndoe", "email": "john@example.com", "tags": ["python", "http", "async"]}
    # httpbin shows a file that is not text as base64.
    assert {name: file.rpartition(",")[2] for name, file in seen["files"].items()} == {
        "avatar": base64.b64encode(PICTURE).decode(),
        "document": RESUME.decode(),
    }
    assert seen["data"] == ""


# Concurrent Requests


async def test_concurrent_requests(capsys: pytest.CaptureFixture[str]) -> None:
    """With AtomHTTP alone: what SyncAtomHTTP has in its place stands in test_seed_sync.py."""
    # No answer before the third request: one after the other would never get there.
    with SeedOrigin(together=3) as origin:
        async with Player(is_sync=False).play("concurrent_requests", {POSTS: origin.url}) as example:
            assert printed(capsys) == ["Post 1: 200", "Post 2: 200", "Post 3: 200"]
            assert example.values["result"] == [{"first": "one", "second": "two", "third": "three"}]
            [responses] = example.values["responses"]
            assert type(responses) is list
            assert [response.data["title"] for response in responses] == list(TITLES.values())
        assert origin.high_water == 3


# Data Transformers


async def test_transformers(player: Player, seed_origin: SeedOrigin, capsys: pytest.CaptureFixture[str]) -> None:
    async with player.play("transformers", {ECHO: seed_origin.url}) as example:
        [response] = example.responses
    [request] = seed_origin.requests
    assert (request.method, request.target, request.body) == ("POST", "/api/message", b"HELLO WORLD")
    # The page prints the text that was sent as `content`; its own function cannot: it wraps dicts alone.
    assert list(response.data) == ["timestamp", "content", "version"]
    assert type(response.data["timestamp"]) is float
    assert response.data["timestamp"] > 1_700_000_000
    assert response.data["content"] == REPLY
    assert response.data["version"] == "v2"
    assert printed(capsys) == [str(response.data)]


async def test_transformers_at_httpbin(player: Player, httpbin: Httpbin) -> None:
    async with player.play("transformers", {HTTPBIN: httpbin.url}) as example:
        [response] = example.responses
        assert response.data["content"]["data"] == "HELLO WORLD"
        assert response.data["content"]["url"] == f"{httpbin.url}/anything/api/message"
        # Data that is no text goes as it is, and what comes back is wrapped again.
        again = await settled(example.client.post("/api/message", data={"a": "b"}))
        assert again.data["content"]["json"] == {"a": "b"}


# Authentication


async def test_authentication(player: Player, httpbin: Httpbin, seed_origin: SeedOrigin) -> None:
    async with player.play("authentication", {HTTPBIN: httpbin.url, API: seed_origin.url}) as example:
        basic, bearer = example.responses
        assert (basic.status, basic.data) == (200, {"authenticated": True, "user": "username"})
        assert (bearer.status, bearer.data) == (200, {"welcome": "Bearer your-jwt-token-here"})
        assert "token" not in example.values  # the interceptor has not been asked yet

        # From now on every request carries the token that the interceptor has waited for.
        response = await settled(example.client.get(f"{httpbin.url}/bearer"))
        assert response.data == {"authenticated": True, "token": "a-token-of-the-oauth-server"}
        assert example.values["token"] == ["a-token-of-the-oauth-server"]
    assert [request.get("Authorization") for request in seed_origin.requests] == ["Bearer your-jwt-token-here"]


# Blob & ArrayBuffer


async def test_blob_and_arraybuffer(
    player: Player, httpbin: Httpbin, seed_origin: SeedOrigin, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {HTTPBIN: httpbin.url, "https://example.com": seed_origin.url}
    async with player.play("blob_and_arraybuffer", places) as example:
        assert example.values["image_data"] == [png()]
        assert content("image.png") == png()
        [binary_data] = example.values["binary_data"]
        assert type(binary_data) is bytes
        assert len(binary_data) == 10_000
        sizes = [int(line.removesuffix(" bytes")) for line in printed(capsys)]
        assert sum(sizes) == len(LARGE_FILE)
        assert len(sizes) > 1


async def test_the_chunks_are_the_file(player: Player, httpbin: Httpbin, seed_origin: SeedOrigin) -> None:
    places = {HTTPBIN: httpbin.url, "https://example.com": seed_origin.url}
    example = player.load("blob_and_arraybuffer", places)
    chunks: list[bytes] = []
    example.names["process_chunk"] = chunks.append
    try:
        await example.run()
    finally:
        await example.close()
    assert b"".join(chunks) == LARGE_FILE
    assert all(type(chunk) is bytes and chunk for chunk in chunks)


# Limits & Timeouts


async def test_limits_and_timeouts(player: Player, tmp_path: Path) -> None:
    socket = tmp_path / "s"
    with SeedOrigin(unix=socket) as origin:
        async with player.play("limits_and_timeouts", {DOCKER: str(socket), SLOW_API: "http://127.0.0.1:9"}) as example:
            assert example.responses[0].data == {"slow": True}
            assert example.responses[0].config.timeout == 5
            check_limits(example.client.defaults, socket)
    assert [request.get("Host") for request in origin.requests] == ["127.0.0.1:9"]


def check_limits(defaults: Any, socket: Path) -> None:
    """The client has the options that the page gave it, in either spelling."""
    assert (defaults.timeout, defaults.maxRedirects, defaults.max_redirects) == (30, 5, 5)
    assert (defaults.maxBodyLength, defaults.maxContentLength) == (10 * 1024 * 1024, 50 * 1024 * 1024)
    assert (defaults.keepAlive, defaults.decompress) == (True, True)
    assert str(defaults.socketPath) == str(socket)


async def test_the_calls_timeout_is_the_one_that_counts(virtual_clock: Any, tmp_path: Path) -> None:
    socket = tmp_path / "s"
    places = {DOCKER: str(socket), SLOW_API: "http://127.0.0.1:9"}
    with Peer([expect_head(), hold()], unix=socket):
        example = Player(is_sync=False).load("limits_and_timeouts", places)
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await example.run()
        await example.close()
    assert caught.value.limit == 5
    assert virtual_clock.time() == pytest.approx(5, abs=0.1)


def test_the_reply_is_no_text() -> None:
    """Else the test of the transformers would prove nothing."""
    assert json.loads(json.dumps(REPLY)) == REPLY
    assert isinstance(REPLY, dict)
