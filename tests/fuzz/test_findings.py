"""What the fuzz targets have found, each as small as it gets. The targets begin with these inputs too."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTP, FormData, NetrcAuth, RequestConfig, Timeout, merge_config
from atomhttp._body.multipart import encode_multipart
from atomhttp._model.url import join_url, parse_url
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPURLError


def form() -> FormData:
    return FormData({"a": "b"})


# url


@pytest.mark.parametrize(
    "url",
    ["http://h/x//[a%20b]", "http://h/?next=http://[::1%25eth0]/", "http://h/x//[%41", "http://u:p@h//[%"],
)
def test_a_bracket_and_a_percent_behind_the_host_are_no_zone_id(url: str) -> None:
    """RFC 3986 section 3.2.2: a zone id stands in the host. What parses must also parse as it is then written."""
    target = parse_url(url)
    assert target.host == "h"
    assert parse_url(target.url).url == target.url


@pytest.mark.parametrize("url", ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://u:p@[fe80::1%25e]:1/"])
def test_a_zone_id_in_the_host_is_refused(url: str) -> None:
    with pytest.raises(AtomHTTPURLError, match="zone ids"):
        parse_url(url)


@pytest.mark.parametrize(
    "base", ["http+unix://%2Frun%2Fx#y/a", "http+unix://%2Frun%2Fx?y/a", "http+unix://%2Frun%2Fu@x/a"]
)
def test_the_socket_of_a_url_has_one_reading(base: str) -> None:
    """RFC 3986 section 3.2: `?` and `#` end an authority. Joining cuts there too, and then it was another socket."""
    try:
        outer = parse_url(base)
    except AtomHTTPURLError:
        return
    assert parse_url(join_url(base, "/b")).socket_path == outer.socket_path


# options


def test_a_config_whose_headers_are_none_can_be_copied() -> None:
    config = RequestConfig(headers=None, url="/a")
    for twin in (copy.copy(config), copy.deepcopy(config), RequestConfig(config), pickle.loads(pickle.dumps(config))):
        assert twin.url == "/a"
    assert merge_config(config, {"url": "/b"}).url == "/b"


@pytest.mark.parametrize("value", [[{}], [3], [None], [b"x"], ["a\0b"], ["\ud800"], "a\0b", "\ud800"])
def test_allowed_socket_paths_that_are_no_paths_are_refused_in_our_words(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^allowedSocketPaths: expected "):
        AtomHTTP(allowedSocketPaths=value)


def test_a_config_does_not_share_what_the_caller_gave() -> None:
    """Hazard F7: what an interceptor writes into one config must not turn up in another."""
    meta: dict[str, Any] = {"a": 1}
    RequestConfig(meta=meta).meta["b"] = 2
    assert meta == {"a": 1}


@pytest.mark.parametrize("name", ["meta", "params"])
def test_merging_makes_a_config_of_its_own(name: str) -> None:
    first = RequestConfig(**{name: {"a": 1}})
    merged = merge_config(first, None)
    merged[name]["b"] = 2
    assert first[name] == {"a": 1}


@pytest.mark.parametrize(
    "value", [("a:b", "c"), {"username": "a:b", "password": "c"}, ("a\r", "c"), ("a", "\n"), (1, "c")], ids=repr
)
def test_bad_credentials_are_refused_by_the_name_of_the_option(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^auth: "):
        RequestConfig(auth=value)


def test_what_was_given_as_a_timeout_is_shown_as_other_values_are() -> None:
    """Without credentials, and not all of it."""
    for build in (lambda value: RequestConfig(timeout=value), lambda value: Timeout(read=value)):
        with pytest.raises(AtomHTTPOptionError) as caught:
            build("http://u:sesame@p:1")
        assert "sesame" not in str(caught.value)
        with pytest.raises(AtomHTTPOptionError) as caught:
            build("x" * 10_000)
        assert len(str(caught.value)) < 300


# content


@pytest.mark.parametrize(
    "declared",
    [
        'multipart/mixed; boundary= a b"',
        "multipart/mixed; boundary=a b",
        'multipart/mixed; x="; boundary=a',
        'multipart/mixed; x="',
        "multipart/mixed; boundary\u00a0=a",
    ],
)
def test_a_content_type_with_a_boundary_that_others_read_otherwise_is_refused(declared: str) -> None:
    """RFC 2046 section 5.1.1: one with a blank stands in quotes; RFC 9110 section 5.6.6: quotes come in pairs."""
    with pytest.raises(AtomHTTPOptionError, match="Content-Type"):
        encode_multipart(form(), declared)


@pytest.mark.parametrize(
    "declared",
    ['multipart/mixed; boundary="a b"', "multipart/mixed ; boundary=a; x=y", "multipart/form-data;boundary=a:b/c"],
)
def test_a_well_formed_content_type_keeps_its_boundary(declared: str) -> None:
    body, content_type = encode_multipart(form(), declared)
    assert isinstance(body, bytes)
    assert content_type == declared
    assert body.startswith(b"--a")


# files


def test_a_machine_of_a_netrc_file_is_escaped_in_a_message(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_bytes(b"machine h\0 login a:b password c\n")
    with pytest.raises(AtomHTTPOptionError) as caught:
        NetrcAuth(path)
    assert str(caught.value).isprintable()
