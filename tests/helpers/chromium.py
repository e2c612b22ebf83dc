"""Headless Chromium, the system's, for pages that run a program."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from absent import absent


def program() -> str:
    """The browser, Debian's or Chrome; without either a skip, in CI a failure."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        text = "no chromium: apt-get install chromium, or run these in CI"
        absent(text)
    return found


@contextmanager
def opened(**settings) -> Iterator:
    """A page of a browser of its own; the block fails where the page erred or fetched anything.

    `settings`: of playwright's new_context. Files on disk and what a page holds itself (data:,
    blob:) are not fetched.
    """
    from playwright.sync_api import sync_playwright

    said: list[str] = []

    def requested(request) -> None:
        if request.url.split(":")[0] not in ("file", "data", "blob"):
            said.append(f"fetched {request.url}")

    with sync_playwright() as playwright:
        # a container's root has no user namespaces for the sandbox
        browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        page = browser.new_context(accept_downloads=True, **settings).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", requested)
        yield page
        assert said == [], said
        browser.close()
