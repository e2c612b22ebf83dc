"""Whether the hub answers, and lets the token of this environment read a repository: asked once.

A download is patient (retry.py); who asks here, before the first job, is not.
"""

import os
from dataclasses import dataclass

from diffusion4k.errors import UserError
from diffusion4k.sources import fetch, retry

TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Answer:
    """`reached`: the hub answered. `refusal`: why the repository may not be read, "" if it may."""

    reached: bool
    refusal: str


def ask(repository: str, kind: str = "model") -> Answer:
    """What the hub says of a repository. A token is sent to it and is in no message.

    A mirror that does not know the question refuses nothing; the download itself will tell.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    try:
        fetch.check_token()
    except UserError as error:
        return Answer(True, str(error))
    endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    address = f"{endpoint}/api/{kind}s/{repository}/auth-check"
    try:
        response = get_session().get(address, headers=build_hf_headers(), timeout=TIMEOUT)
        hf_raise_for_status(response)
    except (HTTPError, OSError, ValueError) as error:
        reply = retry.answer(error)
        if reply is None:
            return Answer(False, f"{endpoint} does not answer ({retry.reason(error)})")
        if reply.status_code in (401, 403):
            where = {"repo_id": repository, "repo_type": kind}
            return Answer(True, f"{repository}: {fetch.advice(error, where, 'main')}")
    return Answer(True, "")
