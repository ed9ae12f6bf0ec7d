"""The process that has the model, and the server's end of it.

Both speak JSON, one message a line, over the process's stdin and stdout. To the worker: {"id", "do", …} and {"cancel": id}. From it:
{"ready": model} or {"failed": why}, once; {"id", "step", "steps"}; {"id", "items"} or {"id", "error"}, once for each request. When
its stdin ends, for whatever reason the server is gone, the worker ends, in the middle of whatever it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, Callable

log = logging.getLogger("dgemma_lsp")

ENGINE = "dgemma_lsp.engine:load"
RESTARTS, WITHIN = 3, 60.0  # so many deaths in so many seconds, and it is left dead
HUNG = 60.0  # seconds after which a cancelled request that goes on is a hanging process
LONGEST = 64 << 20  # bytes in one message


class Worker:
    """The server's end: starts the process, asks it, starts it again when it dies. All on one event loop.

    engine: "module:function"; called in the process with the model's name, gives a function (request, cancel, report) → items
    on_change: called with "ready", "died", "failed" (with the reason), "given up"
    """

    def __init__(self, engine: str, on_change: Callable[[str, str], None]):
        self.engine, self.on_change = engine, on_change
        self.ready = False
        self.model = ""
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future] = {}
        self._reports: dict[int, Callable[[int, int], None]] = {}
        self._deaths: list[float] = []
        self._runs: asyncio.Task | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, model: str) -> None:
        """Start the process, or replace it by one with another model. It loads the model while the editor goes on."""
        await self.stop()
        self.model, self._stopping = model, False
        self._runs = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the process."""
        self._stopping = True
        self.kill()
        if self._runs is not None:
            await self._runs
            self._runs = None

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._gone()

    def _gone(self) -> None:
        self.ready = False
        waiting, self._waiting = self._waiting, {}
        self._reports.clear()
        for answer in waiting.values():
            if not answer.done():
                answer.set_result(None)

    async def _run(self) -> None:
        while not self._stopping:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "dgemma_lsp.worker", self.engine, self.model,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST,
            )  # fmt: skip
            if self._stopping:  # meanwhile
                self.kill()
            failed = False
            while line := await self._process.stdout.readline():
                failed = self._heard(json.loads(line)) or failed
            await self._process.wait()
            self._gone()
            if failed or self._stopping:
                return
            log.warning("the model worker ended with %s", self._process.returncode)
            now = time.monotonic()
            self._deaths = [t for t in self._deaths if now - t < WITHIN] + [now]
            if len(self._deaths) > RESTARTS:
                self.on_change("given up", f"it died {len(self._deaths)} times within {WITHIN:.0f} s")
                return
            self.on_change("died", str(self._process.returncode))

    def _heard(self, message: dict[str, Any]) -> bool:
        """Whether it says that the model can't be had."""
        if "failed" in message:
            self.on_change("failed", message["failed"])
            return True
        if "ready" in message:
            self.ready = True
            self.on_change("ready", message["ready"])
        elif "step" in message:
            if report := self._reports.get(message["id"]):
                report(message["step"], message["steps"])
        else:
            if "error" in message:
                log.warning("a completion failed: %s", message["error"])
            self._reports.pop(message["id"], None)
            answer = self._waiting.pop(message["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(message.get("items"))
        return False

    async def ask(
        self, request: dict[str, Any], seconds: float, report: Callable[[int, int], None] | None = None
    ) -> list[dict] | None:
        """What the engine answers; None if it failed, died, or took longer than that. Cancelling this stops the engine."""
        if not self.ready:
            return None
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        if report is not None:
            self._reports[number] = report
        self._send({"id": number, **request})
        try:
            return await asyncio.wait_for(asyncio.shield(answer), seconds)
        except (asyncio.CancelledError, TimeoutError) as error:
            self._send({"cancel": number})
            asyncio.get_running_loop().call_later(HUNG, self._check, number)
            if isinstance(error, TimeoutError):
                log.warning("no answer within %.1f s", seconds)
                return None
            raise

    def _check(self, number: int) -> None:
        if number in self._waiting:
            log.warning("the model worker doesn't stop; it is ended")
            self.kill()

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")


def main() -> None:
    """The process: `python -m dgemma_lsp.worker module:function model`. One thread computes, this one listens."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's business
    talking = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with talking:
            out.write(json.dumps(message).encode() + b"\n")
            out.flush()

    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    stops: dict[int, threading.Event] = {}
    threading.Thread(target=_work, args=(*sys.argv[1:3], requests, stops, say), daemon=True).start()
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "cancel" in message:
            if stop := stops.get(message["cancel"]):
                stop.set()
        else:
            stops[message["id"]] = threading.Event()
            requests.put(message)
    os._exit(0)  # the other thread may be in a kernel


def _work(engine: str, model: str, requests: queue.SimpleQueue, stops: dict, say: Callable[[dict], None]) -> None:
    try:
        module, _, function = engine.partition(":")
        answer = getattr(importlib.import_module(module), function)(model)
    except Exception as error:
        log.exception("loading %s", model)
        say({"failed": f"{type(error).__name__}: {error}"})
        os._exit(0)
    say({"ready": model})
    while True:
        request = requests.get()
        number = request["id"]
        try:
            items: list[dict] = []
            if not stops[number].is_set():
                items = answer(
                    request, stops[number], lambda step, steps: say({"id": number, "step": step, "steps": steps})
                )
            say({"id": number, "items": items})
        except Exception as error:
            log.exception("answering")
            say({"id": number, "error": f"{type(error).__name__}: {error}"})
        del stops[number]


if __name__ == "__main__":
    main()
