"""Addresses: what of them is shown, and where redirects lead."""

import pytest

from smm_tutorial.datasets.transfer.addresses import follow_redirect, show_address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host/folder/file.zip", "https://host/folder/file.zip"),
        ("http://127.0.0.1:80/file", "http://127.0.0.1:80/file"),
        ("https://[::1]:80/file", "https://[::1]:80/file"),
        ("https://user:secret@host/file", "https://host/file"),
        ("HTTPS://secret@host:8/file", "HTTPS://host:8/file"),
        ("https://user:se@cret@host/file", "https://host/file"),
        ("https://host/file?X-Amz-Signature=secret&x=1", "https://host/file?..."),
        ("https://host/file?secret#secret", "https://host/file?..."),
        ("https://host?secret@x", "https://host?..."),
        ("https://user:sec/ret@host/file", "https://..."),
        ("https://user:sec?ret@host/file", "https://..."),
        ("https://user:sec#ret@host/file", "https://..."),
        ("https://user:1/secret@host/file", "https://..."),
        ("https://user:secret@host:port/file", "https://..."),
        ("https://user:secret@[::1/file", "https://..."),
        ("ftp://user:secret@host/file", "ftp..."),
        ("user:secret@host/file", "user..."),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(address, shown):
    assert show_address(address) == shown


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/other", "https://me:pw@host/other"),  # the same server: the same user
        ("https://host/other", "https://me:pw@host/other"),
        ("https://elsewhere/other", "https://elsewhere/other"),
        ("http://host/other", "http://host/other"),
        ("https://you:x@host/other", "https://you:x@host/other"),
        ("b c\xc3\xa4\xff%20?q=\xfc", "https://me:pw@host/a/b%20c%C3%A4%FF%20?q=%FC"),
    ],
)
def test_a_redirect_is_followed_with_its_bytes_and_the_user_stays_at_home(location, target):
    assert follow_redirect("https://me:pw@host/a/file", location) == target
