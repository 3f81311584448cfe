"""Addresses of files: where they lead, and as much of them as anybody may read."""

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
    """Whether it begins with https:// or http://."""
    return address.lower().startswith(("https://", "http://"))


def show_address(address: str) -> str:
    """The address without user, password, query and fragment, all of which may hold secrets.

    Of an address that cannot be read, only what surely holds none is shown.
    """
    if readable := READABLE.fullmatch(address):
        return readable["scheme"] + readable["place"] + ("?..." if readable["rest"] else "")
    beginning = re.match(r"https?://|[^:@/?#]*", address, re.IGNORECASE)[0]
    return beginning + ("..." if beginning != address else "")


def follow_redirect(address: str, location: str) -> str:
    """Where a header Location leads from an address; on the same server the user stays the same.

    Raises:
        ValueError: it leads nowhere.
    """
    # http.client decodes headers as Latin-1, and an address has no bytes beyond ASCII
    location = quote(location.strip().encode("latin-1", "replace"), safe=string.punctuation)
    old, new = urlsplit(address), urlsplit(urljoin(address, location))
    user, _, host = old.netloc.rpartition("@")
    if user and (new.scheme, new.netloc) == (old.scheme, host):
        new = new._replace(netloc=old.netloc)
    return new.geturl()
