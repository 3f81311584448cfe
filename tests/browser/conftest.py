"""A headless Chromium of the machine's own. Without one the tests skip, but fail in CI."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Milliseconds for JupyterLab to appear: a busy machine takes long to read it from disk.
PATIENCE = 180_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def page(tmp_path):
    """An empty page in a browser with a profile of its own."""
    executable = next((found for name in NAMES if (found := shutil.which(name))), None)
    if executable is None:
        reason = f"none of {', '.join(NAMES)} is installed (Debian, Ubuntu: apt install chromium)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        profile = tmp_path / "browser"
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable,
            args=ARGUMENTS,
            headless=True,
            viewport={"width": 1280, "height": 1024},
        )
        browser.set_default_timeout(PATIENCE)
        yield browser.pages[0]
        browser.close()
