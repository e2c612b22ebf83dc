"""A server of OpenAI's chat protocol on this machine: answers that are told, faults on demand."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "sk-secret-0123456789"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 40, "total_tokens": 1040}


@dataclass
class Fault:
    """One answer that is none. `stall`: seconds before it; `body`: of another kind than JSON."""

    status: int = 500
    error: dict[str, str] = field(default_factory=lambda: {"message": "broken"})
    stall: float = 0.0
    body: bytes | None = None


class Chat:
    """The server at `address`; a context manager.

    `answer` maps a request's body to the text of its answer, or to a whole message (a mapping with
    `content`, `refusal`, `finish_reason`). `faults` are used up first, one a request.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Any] = lambda body: "a fox"):
        self.answer = answer
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []  # bodies of those that had the token
        self.count = 0  # every request
        self.usage: dict[str, int] | None = dict(USAGE)
        self._lock = threading.Lock()
        server = self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.address = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> "Chat":
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with chat._lock:
                    chat.count += 1
                    fault = chat.faults.pop(0) if chat.faults else None
                token = self.headers.get("authorization", "")
                if self.path != "/v1/chat/completions":
                    self.reply(404, {"error": {"message": f"no {self.path}"}})
                elif token != f"Bearer {TOKEN}":  # as some do, the answer quotes what was sent
                    self.reply(401, {"error": {"message": f"Incorrect API key: {token}"}})
                elif fault:
                    time.sleep(fault.stall)
                    if fault.body is not None:
                        self.send(200, "text/html", fault.body)
                    else:
                        self.reply(fault.status, {"error": fault.error})
                else:
                    with chat._lock:
                        chat.requests.append(body)
                    self.reply(200, chat._completion(body))

            def reply(self, status: int, record: dict[str, Any]) -> None:
                self.send(status, "application/json", json.dumps(record).encode())

            def send(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.send_header("retry-after-ms", "10")  # of what passes
                self.end_headers()
                with contextlib.suppress(OSError):  # a client that did not wait
                    self.wfile.write(content)

            def log_message(self, *args) -> None:
                pass

        return Handler

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        said = self.answer(body)
        message = said if isinstance(said, dict) else {"content": said}
        finish = message.pop("finish_reason", "stop")
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        record = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        return record | {"choices": [choice]} | ({"usage": self.usage} if self.usage else {})


def pictures(body: dict[str, Any]) -> list[str]:
    """The pictures of a request, as the addresses that hold them."""
    parts = body["messages"][-1]["content"]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def text(body: dict[str, Any]) -> str:
    """What a request asks."""
    parts = body["messages"][-1]["content"]
    return " ".join(part["text"] for part in parts if part["type"] == "text")
