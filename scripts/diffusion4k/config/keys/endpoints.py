"""Sections `endpoints`, `judge` and `captions`."""

from typing import Self

from pydantic import model_validator

from diffusion4k.config.keys.types import (
    ABSENT,
    Count,
    Line,
    Name,
    Natural,
    NotNegative,
    Positive,
    Section,
    Where,
    matching,
)


class Price(Section):
    """What a million tokens cost."""

    input: NotNegative
    """of what is sent, pictures too"""
    output: NotNegative
    """of answers"""


class Endpoint(Section):
    """A model behind an address that speaks OpenAI's chat protocol."""

    base_url: matching(
        r"https?://[^@?#\s]+",
        "an address, https://…, without token, user or query: the token comes from the environment",
    )
    """address, as `http://localhost:8000/v1`"""
    model: str
    """the model, as the server calls it"""
    price: Price
    """of a million tokens, in any one currency, as the provider lists it; 0 and 0 of a server of
    one's own"""
    token_env: matching("[A-Za-z_][A-Za-z0-9_]*", "the name of a variable") = "OPENAI_API_KEY"
    """environment variable that holds the token, which is written nowhere"""
    temperature: NotNegative = 0.0
    """of sampling; 0: always the most likely word"""
    max_tokens: Count = 500
    """longest answer; a longer one is cut, and counts as refused"""
    side: Count = 2048
    """longer side in px of a picture as it is sent (JPEG of quality 95), at most; what the model
    sees of it is its own business"""
    workers: Count = 4
    """requests at a time"""
    retries: Natural = 8
    """of a request that meets 429, 5xx, a lost connection or a time-out"""
    timeout: Positive = 120.0
    """seconds for an answer"""


class Judge(Section):
    """The model that judges."""

    endpoint: Name
    """one of `endpoints`"""
    max_cost: NotNegative
    """in the prices' currency, of all its answers, those of earlier runs too: no answer is asked
    that may exceed it"""


class Captions(Section):
    """Captions for images: yours, written by a model, or never released."""

    path: Where = ABSENT
    """JSONL, a line an image: `text`, and `file_name` or `id`"""
    endpoint: Name = ABSENT
    """one of `endpoints`, which writes those that `path` lacks"""
    max_cost: NotNegative = ABSENT
    """with `endpoint`: as of `judge`, for each split"""
    reason: Line = ABSENT
    """why there are none; rows of tables that need them say so until `path` or `endpoint` is
    given"""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        given = self.model_fields_set
        if not given & {"path", "endpoint", "reason"}:
            raise ValueError("needs path, endpoint or both (or a reason why there are none)")
        if ("endpoint" in given) != ("max_cost" in given):
            raise ValueError("endpoint and max_cost go together: what may its answers cost?")
        return self
