"""Addresses of files: check them, follow redirects, and show them without secrets."""

from __future__ import annotations

import re
import string
from urllib.parse import quote, urljoin, urlsplit

READABLE = re.compile(
    r"(?P<scheme>https?://)([^/?#]*@)?"
    r"(?P<place>([^/?#@:\s\[\]]+|\[[\da-f:.]+\])(:\d*)?(/[^?#@]*)?)(?P<rest>[?#].*)?",
    re.IGNORECASE | re.DOTALL,
)


def is_on_the_web(address: str) -> bool:
    """Whether the address begins with https:// or http://."""
    return address.lower().startswith(("https://", "http://"))


def show_address(address: str) -> str:
    """The address without user, password, query and fragment, all of which may hold secrets.

    If the address cannot be parsed, only a part that surely holds no secret is shown.
    """
    if readable := READABLE.fullmatch(address):
        return readable["scheme"] + readable["place"] + ("?..." if readable["rest"] else "")
    beginning = re.match(r"https?://|[^:@/?#]*", address, re.IGNORECASE)[0]
    return beginning + ("..." if beginning != address else "")


def follow_redirect(address: str, location: str) -> str:
    """The address that a header Location leads to. On the same server, user and password are kept.

    Raises:
        ValueError: the header holds no usable address.
    """
    # http.client decodes headers as Latin-1, and an address has no bytes beyond ASCII
    location = quote(location.strip().encode("latin-1", "replace"), safe=string.punctuation)
    old, new = urlsplit(address), urlsplit(urljoin(address, location))
    user, _, host = old.netloc.rpartition("@")
    if user and (new.scheme, new.netloc) == (old.scheme, host):
        new = new._replace(netloc=old.netloc)
    return new.geturl()
