from __future__ import annotations

import pytest

from atomhttp.auth.challenge import MAX_CHALLENGES, Challenge, parse_challenges, parse_parameters, quote


@pytest.mark.parametrize(
    ("field", "challenges"),
    [
        ("", []),
        (" , ,\t,", []),
        ("Negotiate", [("negotiate", {})]),
        ("Negotiate YIIabc==", [("negotiate", {})]),
        ("NTLM TlRM/+~x=, Basic realm=x", [("ntlm", {}), ("basic", {"realm": "x"})]),
        ('Basic realm="simple"', [("basic", {"realm": "simple"})]),
        ('BASIC Realm="simple"', [("basic", {"realm": "simple"})]),
        # RFC 9110 section 11.6.1.
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [("basic", {"realm": "simple"}), ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'})],
        ),
        ('Negotiate, Digest realm="a", nonce="b"', [("negotiate", {}), ("digest", {"realm": "a", "nonce": "b"})]),
        ('Digest realm="a, Basic realm=\\"b\\""', [("digest", {"realm": 'a, Basic realm="b"'})]),
        ('Digest realm = "a" ,\tnonce\t=\tb', [("digest", {"realm": "a", "nonce": "b"})]),
        (', Digest ,realm="",,nonce=b, ', [("digest", {"realm": "", "nonce": "b"})]),
        ('Digest realm="\\\\\\a"', [("digest", {"realm": "\\a"})]),
        ('Digest realm="€"', [("digest", {"realm": "€"})]),
        # What cannot be read takes with it what it stands in, and what follows; not what came before.
        ('Basic realm="x", Digest realm="open', [("basic", {"realm": "x"})]),
        ('Basic realm="x", Digest realm="a" nonce="b"', [("basic", {"realm": "x"})]),
        ('Basic realm="x", Digest realm="a", realm="b"', [("basic", {"realm": "x"})]),
        ('Basic realm="x", Digest realm="a", @', [("basic", {"realm": "x"})]),
        ('Basic realm="x", Digest realm=', [("basic", {"realm": "x"}), ("digest", {})]),
        ('Basic realm="x", Digest nonce="a", realm=', [("basic", {"realm": "x"})]),
        ('Digest realm="a\\"', []),
        ("Digest realm==a", []),
        ('realm="x"', []),
        ("=", []),
        ('"', []),
        ("\x00", []),
    ],
)
def test_challenges(field: str, challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(field) == [Challenge(*each) for each in challenges]


@pytest.mark.parametrize(
    ("field", "parameters"),
    [
        ("", {}),
        ('nextnonce="n", qop=auth, nc=00000001', {"nextnonce": "n", "qop": "auth", "nc": "00000001"}),
        (', NextNonce="a,b" ,', {"nextnonce": "a,b"}),
        ("nextnonce=a, nextnonce=b", {"nextnonce": "a"}),
        ('qop=auth, nextnonce="open', {"qop": "auth"}),
        ("Digest qop=auth", {}),
    ],
)
def test_parameters(field: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(field) == parameters


@pytest.mark.parametrize("value", ["", "a", '"', "\\", '\\"', 'a"b\\c, d=e'])
def test_what_is_quoted_reads_as_it_was(value: str) -> None:
    assert parse_parameters(f"x={quote(value)}") == {"x": value}


def test_a_field_of_endless_challenges() -> None:
    found = parse_challenges(", ".join(f'Digest nonce="{number}"' for number in range(1_000)))
    assert [each.parameters["nonce"] for each in found] == [str(number) for number in range(MAX_CHALLENGES)]


MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    "piece",
    [
        *('"', "\\", '\\"', "a", "a ", "a=", "a=b ", "a=b,", "a,", ",", " ", "=", "a b", 'Digest a="b', "\t,", "€"),
        *('"a"', 'a="', 'a="\\', "Digest x=y, ", "a a=b, "),
    ],
)
@pytest.mark.parametrize("opening", ["", "Digest ", 'Digest realm="', "Digest realm="])
def test_a_hostile_megabyte_is_read_once(opening: str, piece: str) -> None:
    """Read again for each of its characters it would take days, and the watchdog would end the run."""
    field = opening + piece * (MEGABYTE // len(piece))
    assert len(parse_challenges(field)) <= MAX_CHALLENGES
    assert len(parse_parameters(field)) <= 1
