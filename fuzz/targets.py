"""All targets: by name, the function and the inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from fuzz import against_h11, bodies, cookies, engine, options, peers, redirects, urls


class Target(NamedTuple):
    """One target.

    Attributes:
        run: raises when a promise is broken: AssertionError, or whatever should not have come out.
        seeds: inputs that reach into it; also what was found with it, so that it is never found again.
    """

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


TARGETS: Final = {
    "engine": Target(engine.run, engine.SEEDS),
    "h11": Target(against_h11.run, against_h11.SEEDS),
    "url": Target(urls.run_url, urls.URL_SEEDS),
    "location": Target(urls.run_location, urls.LOCATION_SEEDS),
    "redirect": Target(redirects.run, redirects.SEEDS),
    "cookie": Target(cookies.run_cookie, cookies.COOKIE_SEEDS),
    "cookie_file": Target(cookies.run_cookie_file, cookies.FILE_SEEDS),
    "content_type": Target(bodies.run_content_type, bodies.CONTENT_TYPE_SEEDS),
    "compression": Target(bodies.run_compression, bodies.COMPRESSION_SEEDS),
    "json": Target(bodies.run_json, bodies.JSON_SEEDS),
    "multipart": Target(bodies.run_multipart, bodies.MULTIPART_SEEDS),
    "options": Target(options.run, options.SEEDS),
    "proxy": Target(urls.run_proxy, urls.PROXY_SEEDS),
    "tunnel": Target(peers.run_tunnel, peers.TUNNEL_SEEDS),
    "socks": Target(peers.run_socks, peers.SOCKS_SEEDS),
    "challenge": Target(peers.run_challenge, peers.CHALLENGE_SEEDS),
    "fields": Target(peers.run_fields, peers.FIELDS_SEEDS),
    "netrc": Target(peers.run_netrc, peers.NETRC_SEEDS),
}
