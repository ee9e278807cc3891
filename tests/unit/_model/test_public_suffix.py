from __future__ import annotations

import subprocess
import sys

import pytest

from atomhttp._model.public_suffix import is_public_suffix


@pytest.mark.parametrize(
    "domain",
    [
        *("com", "co.uk", "org.uk", "github.io", "s3.amazonaws.com", "herokuapp.com", "blogspot.com"),
        # Under a wildcard, and the name that the wildcard hangs on.
        *("anything.ck", "ck", "foo.kawasaki.jp"),
        # Not in the list: the list's own rule `*` holds.
        *("localhost", "intranet", "unheard-of-tld"),
        # Case and a final dot change nothing.
        *("CO.UK", "Co.Uk", "co.uk.", "COM.", "localhost."),
        # A-labels: 公司.cn, 香港, الجزائر, рф.
        *("xn--55qx5d.cn", "xn--j6w193g", "xn--lgbbat1ad8j", "xn--p1ai", "XN--P1AI."),
        # No name of anybody's.
        *("", ".", "..", "co.uk..", ".com", "a..b", ".example.com"),
    ],
)
def test_a_public_suffix(domain: str) -> None:
    assert is_public_suffix(domain)


@pytest.mark.parametrize(
    "domain",
    [
        *("example.com", "www.example.com", "example.co.uk", "someone.github.io", "b.s3.amazonaws.com"),
        # Exceptions from a wildcard.
        *("www.ck", "city.kawasaki.jp"),
        *("app.localhost", "host.intranet", "Example.COM", "example.com."),
        *("example.xn--55qx5d.cn", "xn--55qx5d.com", "example.xn--p1ai"),
        # No A-labels, though they begin like some.
        *("xn--.com", "xn--99999999.com", "xn--a-ecp.ru", "xn--\x7f.com"),
    ],
)
def test_somebodys_own(domain: str) -> None:
    assert not is_public_suffix(domain)


def test_the_list_is_read_only_when_it_is_asked() -> None:
    program = (
        "import sys, atomhttp, atomhttp._model.cookies as cookies\n"
        "from atomhttp._model.url import parse_url\n"
        "target = parse_url('https://a.example.com/')\n"
        "jar = cookies.CookieJar({'a': '1'}, url='https://a.example.com')\n"
        "jar.store(target, ['b=2', 'c=3; Domain=other.org'])\n"
        "jar.header_for(target)\n"
        "assert 'publicsuffixlist' not in sys.modules\n"
        "jar.store(target, ['d=4; Domain=example.com'])\n"
        "assert 'publicsuffixlist' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
