"""Which domains belong to nobody in particular. The only importer of `publicsuffixlist` (publicsuffix.org's list).

Reading the list takes some 40 ms, so that is done when the first server names a domain for its cookies, and once.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=1024)
def is_public_suffix(domain: str) -> bool:
    """Whether whoever has a name below `domain` must not speak for all of it: `com`, `co.uk`, `github.io`.

    As the list's own rules say, a top-level domain that is not in the list is one too, and so `localhost` is. A final
    dot changes nothing (CVE-2022-27779), nor does case (CVE-2023-46218); a name with an empty label counts as one, as
    nothing is known about it.

    Args:
        domain: a host name in ASCII (A-labels), not an address.
    """
    labels = domain.lower().removesuffix(".").split(".")
    if "" in labels:
        return True
    if "xn--" in domain:
        labels = [_unicode_label(label) for label in labels]
    return _rules().is_public(".".join(labels))


@cache
def _rules() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    # Without the A-labels: working them out for 10,000 rules takes longer than all the rest.
    return PublicSuffixList(accept_encoded_idn=False)


def _unicode_label(label: str) -> str:
    """An A-label as the list spells it; any other label, and one that decodes to nothing, as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, OverflowError):
        return label
