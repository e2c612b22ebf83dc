"""What a test needs of the machine and does not find there."""

import os

import pytest


def absent(text: str) -> None:
    """A skip that says what is not there and how to get it; in CI, which has all, a failure."""
    pytest.fail(text) if os.environ.get("CI") == "true" else pytest.skip(text)
