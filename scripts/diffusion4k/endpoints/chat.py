"""Questions about pictures to a server of OpenAI's chat protocol: /chat/completions.

The `openai` package speaks it and waits out what passes (429, 5xx, lost connections, time-outs),
with growing pauses or as long as the server asks. The token comes from the environment alone and is
in no file, log or message: of a refused one the server's text, which may quote it, is not shown.
"""

import base64
import io
import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from diffusion4k import images
from diffusion4k.endpoints import answers
from diffusion4k.endpoints.answers import Answer
from diffusion4k.endpoints.budget import Budget, Price
from diffusion4k.errors import UserError
from diffusion4k.manifest import Listed

QUALITY = 95  # of the JPEG that is sent
# a token for so many px each way, to reckon the most that a picture may cost; models pool them
PATCH = 14
CUT = "length"  # the protocol's word for an answer that max_tokens ended


@dataclass(frozen=True)
class Endpoint:
    """A model behind an address. What decides an answer, then what does not.

    `side`: pictures are sent as JPEG whose longer side is `side` px at most; `timeout`: seconds.
    """

    base_url: str
    model: str
    temperature: float
    max_tokens: int
    side: int
    token_env: str
    price: Price
    retries: int
    timeout: float


@dataclass(frozen=True)
class Question:
    """What is asked in one request: a text, what the system is told, pictures by their manifest."""

    text: str
    pictures: Sequence[Listed]
    system: str = ""


class Chat:
    """Answers of one endpoint, from the folder of answers or the network; safe for threads.

    `asked`: requests answered by the network; `budget.spent`: cost of all answers.
    """

    def __init__(self, endpoint: Endpoint, folder: Path, max_cost: float):
        self.endpoint, self.budget, self.asked = endpoint, Budget(max_cost), 0
        self._answers, self._client, self._lock = answers.Answers(folder), None, threading.Lock()
        self._largest = 0  # input tokens of an answer, as the server counted them

    def answer_all(self, questions: Sequence[Question], workers: int) -> Iterator[Answer]:
        """The answer of each question, in order, `workers` at a time; equal questions once.

        The first error ends it: requests on their way are waited for, so that what is paid is kept.
        Of a new model the first question goes alone: its answer tells what a picture costs.
        """
        digests = [answers.digest(self._record(question)) for question in questions]
        different = dict(zip(digests, questions, strict=True))
        known = {digest: self._answers.find(digest) for digest in different}
        for answer in filter(None, known.values()):  # first, so that the limit sees all of it
            self.budget.add(self._cost(answer))
            self._largest = max(self._largest, answer.input_tokens)
        missing = [digest for digest, answer in known.items() if answer is None]
        if missing and not self._largest:
            first = missing.pop(0)
            known[first] = self._ask(first, different[first])
        failed = threading.Event()

        def ask(digest: str) -> Answer | None:
            if failed.is_set():
                return None
            try:
                return self._ask(digest, different[digest])
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(max(workers, 1)) as pool:
            coming = {digest: pool.submit(ask, digest) for digest in missing}
            try:
                for digest in digests:
                    answer = known[digest] or coming[digest].result()
                    if answer is None:  # not asked, because another failed
                        raise next(filter(None, (future.exception() for future in coming.values())))
                    yield answer
            finally:
                failed.set()

    def spent(self, given: Sequence[Answer]) -> dict[str, float]:
        """{"cost", "input_tokens", "output_tokens"} of answers, for a manifest's results."""
        return {
            "cost": round(sum(map(self._cost, given)), 6),
            "input_tokens": sum(answer.input_tokens for answer in given),
            "output_tokens": sum(answer.output_tokens for answer in given),
        }

    def _record(self, question: Question) -> dict[str, Any]:
        """All that an answer follows from; of a picture its content, and the size it is sent in."""
        endpoint = self.endpoint
        return {
            "base_url": endpoint.base_url,
            "model": endpoint.model,
            "temperature": endpoint.temperature,
            "max_tokens": endpoint.max_tokens,
            "system": question.system,
            "text": question.text,
            "side": endpoint.side,
            "pictures": [picture.sha256 for picture in question.pictures],
        }

    def _cost(self, answer: Answer) -> float:
        return self.endpoint.price.of(answer.input_tokens, answer.output_tokens)

    def _ask(self, digest: str, question: Question) -> Answer:
        client = self._connected()
        sent = [jpeg(picture.sound(), self.endpoint.side) for picture in question.pictures]
        tokens = len((question.system + question.text).encode())  # a byte a token, at the most
        tokens += sum(-(-width // PATCH) * -(-height // PATCH) for _, (width, height) in sent)
        tokens = max(tokens, self._largest)
        most = self.endpoint.price.of(tokens, self.endpoint.max_tokens)
        self.budget.hold(most)
        cost = 0.0
        try:
            answer = self._request(client, question, [content for content, _ in sent], tokens)
            self._answers.save(digest, self._record(question), answer)
            cost = self._cost(answer)
        finally:
            self.budget.settle(most, cost)
        with self._lock:
            self.asked += 1
            self._largest = max(self._largest, answer.input_tokens)
        return answer

    def _connected(self):
        """The client, made when something has to be asked; UserError without a token."""
        import openai

        endpoint = self.endpoint
        with self._lock:
            if self._client is None:
                if not self._token():
                    raise UserError(
                        f"{endpoint.model}: set {endpoint.token_env} to the token for"
                        f" {endpoint.base_url}; a server that asks for none takes any text"
                    )
                self._client = openai.OpenAI(
                    api_key=self._token(),
                    base_url=endpoint.base_url,
                    max_retries=endpoint.retries,
                    timeout=endpoint.timeout,
                )
            return self._client

    def _token(self) -> str:
        return os.environ.get(self.endpoint.token_env, "").strip()

    def _request(self, client, question: Question, sent: list[bytes], tokens: int) -> Answer:
        import openai

        endpoint = self.endpoint
        system = [{"role": "system", "content": question.system}] if question.system else []
        parts = [{"type": "text", "text": question.text}, *map(_part, sent)]
        try:
            reply = client.chat.completions.create(
                model=endpoint.model,
                messages=[*system, {"role": "user", "content": parts}],
                temperature=endpoint.temperature,
                max_tokens=endpoint.max_tokens,
            )
        except openai.APIStatusError as error:
            if error.status_code == 400 and _filtered(error):
                return Answer("", "content filter", 0, 0)
            raise UserError(self._refused(error)) from None
        except openai.APITimeoutError:
            raise UserError(self._tried(f"no answer within {endpoint.timeout:g} s")) from None
        except openai.APIConnectionError:
            raise UserError(self._tried("cannot be reached")) from None
        except (openai.OpenAIError, ValueError):
            raise UserError(self._no_protocol()) from None
        return self._read(reply, tokens)

    def _read(self, reply: Any, tokens: int) -> Answer:
        """The answer in a reply; tokens reckoned where the server does not count them."""
        try:
            choice = reply.choices[0]
            text, refusal = choice.message.content or "", choice.message.refusal or ""
        except (AttributeError, IndexError, TypeError):
            raise UserError(self._no_protocol()) from None
        if choice.finish_reason == "content_filter":
            refusal = "content filter"
        elif choice.finish_reason == CUT and not refusal:
            refusal = f"cut at max_tokens, {self.endpoint.max_tokens}"
        elif not text.strip() and not refusal:
            refusal = "an empty answer"
        usage = reply.usage
        if usage is None or usage.prompt_tokens is None:
            return Answer(text, refusal, tokens, self.endpoint.max_tokens)
        return Answer(text, refusal, usage.prompt_tokens, usage.completion_tokens or 0)

    def _refused(self, error) -> str:
        """What to do about an error; its text only where it quotes no token."""
        endpoint, status = self.endpoint, error.status_code
        where = f"{urlsplit(endpoint.base_url).netloc} answered with status {status}"
        if status in (401, 403):
            return (
                f"{where}: the token in {endpoint.token_env} is refused for {endpoint.model}; set"
                " another and run again"
            )
        if status == 429 or status >= 500:
            return self._tried(f"answered with status {status}")
        message = " ".join(str(error.message).replace(self._token(), "…").split())[:200]
        return f"{where} for {endpoint.model} ({message}); mend base_url, model or max_tokens"

    def _tried(self, what: str) -> str:
        where, times = urlsplit(self.endpoint.base_url).netloc, self.endpoint.retries + 1
        return (
            f"{where}: {what}, {times} times in a row; all answers are kept: run the same command"
            " again"
        )

    def _no_protocol(self) -> str:
        return (
            f"{self.endpoint.base_url}: what came back is no chat completion; does base_url end as"
            " the server's documentation has it, mostly in /v1?"
        )


def jpeg(path: Path, side: int) -> tuple[bytes, tuple[int, int]]:
    """(a picture as JPEG, its longer side `side` px at most, upright; its (width, height))."""
    picture = images.load_rgb(path, exif_transpose=True)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue(), picture.size


def _part(content: bytes) -> dict[str, Any]:
    """A picture in the protocol's form; `high`: servers that can reduce it should not."""
    address = f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": address, "detail": "high"}}


def _filtered(error) -> bool:
    """Whether a request was refused for what it shows or says."""
    return bool(re.search("content_(filter|policy)", f"{error.code} {error.type} {error.body}"))
