"""The flags of an endpoint, and what they come to; judge.py, caption.py."""

import argparse
from pathlib import Path

from diffusion4k import limits
from diffusion4k.endpoints.budget import Price
from diffusion4k.endpoints.chat import Chat, Endpoint
from diffusion4k.errors import UserError


def add(flags: argparse.ArgumentParser) -> None:
    """Which model is asked, how, at what cost."""
    group = flags.add_argument_group("endpoint", "a server of OpenAI's chat protocol")
    group.add_argument("--base-url", help="e.g. http://localhost:8000/v1")
    group.add_argument("--model", help="as the server calls it")
    group.add_argument("--token-env", default="OPENAI_API_KEY",
                       help="variable that holds the token")  # fmt: skip
    group.add_argument("--temperature", type=limits.not_negative, default=0.0)
    group.add_argument("--max-tokens", type=limits.count, default=500, help="of an answer")
    group.add_argument(
        "--side", type=limits.count, default=2048, help="px of a picture as it is sent, at most"
    )
    group.add_argument(
        "--price", type=limits.not_negative, nargs=2, default=(0.0, 0.0),
        metavar=("INPUT", "OUTPUT"), help="of a million tokens",
    )  # fmt: skip
    group.add_argument(
        "--max-cost", type=limits.not_negative, default=0.0, help="of all answers together"
    )
    group.add_argument("--workers", type=limits.count, default=4, help="requests at a time")
    group.add_argument(
        "--retries", type=limits.natural, default=8, help="of a request that fails for a while"
    )
    group.add_argument(
        "--timeout", type=limits.positive, default=120.0, help="seconds for an answer"
    )
    group.add_argument(
        "--answers", type=Path, default=Path("results/answers"),
        help="folder that keeps every answer, so that none is paid twice",
    )  # fmt: skip


def chat(args: argparse.Namespace) -> Chat:
    """What `add`'s flags come to; UserError without an address or a model."""
    if not (args.base_url and args.model):
        raise UserError("--base-url and --model are missing: whom to ask (endpoints in the config)")
    endpoint = Endpoint(
        base_url=args.base_url,
        model=args.model,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        side=args.side,
        token_env=args.token_env,
        price=Price(*args.price),
        retries=args.retries,
        timeout=args.timeout,
    )
    return Chat(endpoint, args.answers, args.max_cost)
