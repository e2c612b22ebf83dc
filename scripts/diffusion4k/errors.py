"""The one exception that is written for people."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one line. Scripts print it and exit 1."""
