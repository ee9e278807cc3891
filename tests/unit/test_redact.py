from __future__ import annotations

import time

import pytest

from atomhttp._redact import REDACTED, is_secret_name, redact_fields, redact_url, redact_value


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "proxy-authorization", "auth", "Cookie", "Set-Cookie", "set_cookie"),
        *("X-Api-Key", "apiKey", "API_KEY", "api.key", "key", "sig", "X-Amz-Signature", "X-Amz-Credential"),
        *("password", "passwd", "Passphrase", "client_secret", "credentials"),
        *("access_token", "X-Auth-Token", "csrfToken", "session_id", "sessionToken", "X-CSRF", "xsrf"),
        *("X-Access-Key", "secret_key", "private_key", "Ocp-Apim-Subscription-Key", "X-Functions-Key", "X-Auth-Key"),
        *("X-Auth", "Authentication", "pwd", "pass", "jwt", "client_assertion"),
    ],
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Accept", "Content-Type", "X-Request-Id", "author", "keyboard", "monkey", "q", "page", "user", "Key-Value"),
        *("Idempotency-Key", "Sec-WebSocket-Key", "WWW-Authenticate", "bypass", "passenger", "xauthor", "Sort-Key"),
        *("xsrf_cookie_name", "xsrfHeaderName", "withXSRFToken", "with_credentials"),
        "Access-Control-Allow-Credentials",
    ],
)
def test_harmless_names(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/p?q=1#f", "http://h/p?q=1"),
        ("http://canary:canary@h/p", "http://h/p"),
        ("http://canary@h/p", "http://h/p"),
        ("//canary:canary@h", "//h"),
        ("http://can@canary@h/", "http://h/"),
        ("http://u:can ary@h/", "http://h/"),
        ("http://h/@kept/b@c", "http://h/@kept/b@c"),
        ("http://h:8080/@kept/b@c", "http://h:8080/@kept/b@c"),
        ("http://u:canary@[::1]:8080/b@c", "http://[::1]:8080/b@c"),
        ("http+unix://%2Frun%2Fx/a@b", "http+unix://%2Frun%2Fx/a@b"),
        ("/users/@me", "/users/@me"),
        ("users/a@b.test?x=1", "users/a@b.test?x=1"),
        ("http://u:can/ary@h/p", "http://h/p"),
        ("http://u:x?canary@h/", "http://h/"),
        ("http://u:x#canary@h/", "http://h/"),
        ("http://u:canary%40h:x/", "http://h:x/"),
        ("http:/u:canary@h/", "http://h/"),
        ("http:u:canary@h/", "http://h/"),
        ("http:\\\\u:canary@h/", "http://h/"),
        ("http:///u:canary@h/", "http://h/"),
        ("u:canary@h/p", "u://h/p"),
        ("http://h?mail=a@b", "http://h?mail=a@b"),
        ("http://h/?token=canary", f"http://h/?token={REDACTED}"),
        ("/p?a=1&api_key=canary&b=2", f"/p?a=1&api_key={REDACTED}&b=2"),
        ("http://h/?password=canary;x=1", f"http://h/?password={REDACTED}"),
        ("http://h/?password=canary;canary&x=1", f"http://h/?password={REDACTED}&x=1"),
        ("http://h/?password=correct canary&x=1", f"http://h/?password={REDACTED}&x=1"),
        ("http://h/?token= canary", f"http://h/?token={REDACTED}"),
        ("http://h/?token=a?canary", f"http://h/?token={REDACTED}"),
        ("http://h/?next=/a?token=canary", f"http://h/?next=/a?token={REDACTED}"),
        ("http://h/?next=%2Fa%3Ftoken%3Dcanary&x=1", f"http://h/?next={REDACTED}&x=1"),
        ("http://h/?next=http%3A%2F%2Fu%3Acanary%40i%2F", f"http://h/?next={REDACTED}"),
        ("http://h/?next=%2Fa%3Fpage%3D2", "http://h/?next=%2Fa%3Fpage%3D2"),
        ("http://h/?mail=a%40b", "http://h/?mail=a%40b"),
        ("http://h/?Access_Token=canary#top", f"http://h/?Access_Token={REDACTED}"),
        ("http://h/?pass%77ord=canary", f"http://h/?pass%77ord={REDACTED}"),
        ("http://h/?api+key=canary", f"http://h/?api+key={REDACTED}"),
        ("http://h/?a%5Btoken%5D=canary", f"http://h/?a%5Btoken%5D={REDACTED}"),
        ("http://h/?a?token=canary", f"http://h/?a?token={REDACTED}"),
        ("http://h/#access_token=canary&x=1", "http://h/"),
        ("http://h/?token=", f"http://h/?token={REDACTED}"),
        ("http://h/?token", "http://h/?token"),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("char", [*"/?#&=;@:[]%. a\\\n", "//", "?&", "&a", "://", "&a=", "?a=%", "&token=", "%40"])
def test_urls_cost_no_more_than_reading_them(char: str) -> None:
    text = (char * 50_000)[:50_000]
    url = f"http://h/?{text}"
    began = time.process_time()
    redact_url(url)
    redact_url(f"http://{text}")
    assert time.process_time() - began < 0.5


def test_fields() -> None:
    fields = [("Accept", "a"), ("authorization", "canary"), ("COOKIE", "canary"), ("X-Token", "canary")]
    assert redact_fields(fields) == [
        ("Accept", "a"),
        ("authorization", REDACTED),
        ("COOKIE", REDACTED),
        ("X-Token", REDACTED),
    ]


class URLObject:
    def __str__(self) -> str:
        return "http://u:canary@h/"

    __repr__ = __str__


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("auth", ("u", "canary"), REDACTED),
        ("password", "canary", REDACTED),
        ("password", None, None),
        ("with_xsrf_token", True, True),
        ("url", "http://u:canary@h/?token=canary", f"http://h/?token={REDACTED}"),
        ("url", URLObject(), "http://h/"),
        ("base_url", "http://u:canary@h", "http://h"),
        ("baseURL", URLObject(), "http://h/"),
        ("base_url", b"http://u:canary@h/", "b'http://h/'"),
        ("Location", "/back#access_token=canary", "/back"),
        ("Refresh", "0; url=/x?token=canary", f"0; url=/x?token={REDACTED}"),
        ("X-Colour", "#a0ffcc", "#a0ffcc"),
        ("X-Custom", "Bearer canary-canary", REDACTED),
        ("X-Custom", "Token expired by user", "Token expired by user"),
        ("WWW-Authenticate", 'Bearer error="invalid_token"', 'Bearer error="invalid_token"'),
        ("detail", "bob@x.org not found. Try again? See #5", "bob@x.org not found. Try again? See #5"),
        ("detail", "see http://u:canary@h/ or ask?", "see http://h/ or ask?"),
        ("pairs", ["token", "canary"], ["token", REDACTED]),
        ("params", {"a": 1, "token": "canary"}, {"a": 1, "token": REDACTED}),
        ("params", [("a", 1), ("token", "canary")], [["a", 1], ("token", REDACTED)]),
        ("params", "token=canary&a=1", f"token={REDACTED}&a=1"),
        ("headers", {"Cookie": "canary", "A": "1"}, {"Cookie": REDACTED, "A": "1"}),
        ("data", {"user": {"name": "a", "password": "canary"}}, {"user": {"name": "a", "password": REDACTED}}),
        ("data", [{"token": "canary"}], [{"token": REDACTED}]),
        ("cert", ("a.pem", "b.pem", "canary"), ["a.pem", "b.pem", REDACTED]),
        ("cert", ("a.pem", "token.pem"), ["a.pem", "token.pem"]),
        ("timeout", 5, 5),
        ("method", "GET", "GET"),
    ],
)
def test_values(name: str, value: object, shown: object) -> None:
    redacted = redact_value(name, value)
    assert redacted == shown
    assert "canary" not in repr(redacted)
