"""How long an editor waits for dgemma-lsp, and whether it keeps step: on files of the standard library, with a real server.

Prints JSON lines. `first`: a suggestion asked for by hand at the beginning of statements whose rest of the line is cut out;
`typed_through`: the next answer after a letter of it was typed; `cancel`: from $/cancelRequest to the answer; `after_cancel`: a
suggestion that is asked for right then. Times are those of a client: pipes, JSON and all. `cpu_ms` is what the worker's processor
did for a first suggestion, or the server's for an edit: on a busy machine it says more.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import random
import statistics
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from lsprotocol import types as t
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import BaseLanguageClient

FILES = ("bisect.py", "textwrap.py", "heapq.py", "fnmatch.py", "shlex.py", "queue.py", "string.py", "sched.py")


class Editor:
    """A client and its server."""

    def __init__(self, engine: str | None):
        self.client = BaseLanguageClient("benchmark", "1")
        self.command = [sys.executable, "-m", "dgemma_lsp", *(["--engine", engine] if engine else [])]

    async def start(self) -> float:
        """Seconds until the model is there."""
        began = time.perf_counter()
        await self.client.start_io(*self.command)
        inline = t.TextDocumentClientCapabilities(inline_completion=t.InlineCompletionClientCapabilities())
        await self.client.initialize_async(t.InitializeParams(capabilities=t.ClientCapabilities(text_document=inline)))
        self.client.initialized(t.InitializedParams())
        while not (await self.run("statistics"))["ready"]:
            await asyncio.sleep(0.02)
        return time.perf_counter() - began

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    async def run(self, name: str, *arguments: Any) -> Any:
        return await self.client.workspace_execute_command_async(
            t.ExecuteCommandParams(command=f"dgemma.{name}", arguments=list(arguments))
        )

    def open(self, uri: str, text: str, version: int) -> None:
        item = t.TextDocumentItem(uri=uri, language_id="python", version=version, text=text)
        self.client.text_document_did_open(t.DidOpenTextDocumentParams(item))

    def change(self, uri: str, version: int, line: int, start: int, end: int, text: str) -> None:
        where = t.Range(t.Position(line, start), t.Position(line, end))
        change = t.TextDocumentContentChangePartial(range=where, text=text)
        document = t.VersionedTextDocumentIdentifier(uri=uri, version=version)
        self.client.text_document_did_change(t.DidChangeTextDocumentParams(document, [change]))

    def ask(self, uri: str, line: int, character: int) -> tuple[str, asyncio.Future]:
        number = f"{uri} {time.perf_counter()}"
        params = t.InlineCompletionParams(
            t.InlineCompletionContext(t.InlineCompletionTriggerKind.Invoked),
            t.TextDocumentIdentifier(uri),
            t.Position(line, character),
        )
        return number, self.client.protocol.send_request_async(t.TEXT_DOCUMENT_INLINE_COMPLETION, params, number)


def holes(name: str, rng: random.Random, most: int) -> list[tuple[str, int, int]]:
    """(the file without the rest of a statement's line, line, column), in ASCII lines of one statement each."""
    text = (Path(sysconfig.get_path("stdlib")) / name).read_text(encoding="utf-8")
    lines = text.split("\n")
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Return, ast.Assign)) and node.lineno == node.end_lineno and node.value is not None:
            line, column = node.lineno - 1, node.value.col_offset
            if lines[line].isascii():
                found.append((line, column))
    rng.shuffle(found)
    return [("\n".join([*lines[:r], lines[r][:c], *lines[r + 1 :]]), r, c) for r, c in found[:most]]


def times(values: list[float]) -> dict[str, float]:
    values = sorted(1e3 * v for v in values)
    p95 = values[min(len(values) - 1, int(0.95 * len(values)))]
    return {"n": len(values), "median_ms": round(statistics.median(values), 1), "p95_ms": round(p95, 1)}


async def waiting(editor: Editor, each: int, rng: random.Random) -> list[dict]:
    first, typed, cancelled, after, empty, busy = [], [], [], [], 0, 0.0
    worker = (await editor.run("statistics"))["worker"]
    version = 0
    for name in FILES:
        uri = f"file:///{name}"
        for text, line, column in holes(name, rng, each):
            editor.open(uri, text, version := version + 1)
            began, before = time.perf_counter(), cpu(worker)
            items = (await editor.ask(uri, line, column)[1]).items
            first.append(time.perf_counter() - began)
            busy += cpu(worker) - before
            if not items:
                empty += 1
                continue
            if len(items[0].insert_text) > 1:
                new = items[0].insert_text[0]
                editor.change(uri, version := version + 1, line, column, column, new)
                began = time.perf_counter()
                rest = (await editor.ask(uri, line + (new == "\n"), 0 if new == "\n" else column + 1)[1]).items
                typed.append(time.perf_counter() - began)
                assert rest and rest[0].insert_text == items[0].insert_text
            editor.open(uri, text, version := version + 1)
            number, answer = editor.ask(uri, line, column)
            await asyncio.sleep(0.05)
            if answer.done():
                continue
            began = time.perf_counter()
            editor.client.protocol.notify(t.CANCEL_REQUEST, t.CancelParams(number))
            try:
                await answer
            except JsonRpcException:
                cancelled.append(time.perf_counter() - began)
            began = time.perf_counter()
            await editor.ask(uri, line, column)[1]
            after.append(time.perf_counter() - began)
    named = {"first": first, "typed_through": typed, "cancel": cancelled, "after_cancel": after}
    lines = [{"what": what, **times(values)} for what, values in named.items() if values]
    lines[0]["cpu_ms"] = round(1e3 * busy / len(first))
    return [*lines, {"what": "empty", "n": empty}]


async def typing(editor: Editor, seconds: float, rate: int, rng: random.Random) -> dict:
    """Edits at a rate, in a file of 10,000 lines; the longest time that the server took to say anything meanwhile."""
    uri = "file:///long.py"
    text = [f"value_{i} = {i}  # é𝄞" for i in range(10_000)]
    editor.open(uri, "\n".join(text), 1)
    server = editor.client._server.pid
    slowest, sent, began, before = 0.0, 0, time.perf_counter(), cpu(server)
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            line = rng.randrange(len(text))
            new = rng.choice(["x", "é", "𝄞 ", "\u2028"])
            editor.change(uri, sent + 2, line, 0, 1 if len(text[line].encode("utf-16-le")) > 80 else 0, new)
            start = 0
            if len(text[line].encode("utf-16-le")) > 80:
                start = 1
                if ord(text[line][0]) > 0xFFFF:  # half a pair is before it
                    start = 0
            text[line] = new + text[line][start:]
            sent += 1
        asked = time.perf_counter()
        await editor.run("statistics")
        slowest = max(slowest, time.perf_counter() - asked)
        await asyncio.sleep(0.005)
    busy = cpu(server) - before
    same = await editor.run("text", uri) == "\n".join(text)
    return {
        "what": "typing",
        "edits": sent,
        "per_second": round(sent / seconds),
        "slowest_ms": round(1e3 * slowest, 1),
        "cpu_ms": round(1e3 * busy / sent, 2),
        "same": same,
    }


async def together(editor: Editor, rng: random.Random) -> dict:
    """One suggestion in each of 8 documents at once: until the last has its own."""
    asked = []
    for name in FILES:
        text, line, column = holes(name, rng, 1)[0]
        editor.open(f"file:///together/{name}", text, 1)
        asked.append((f"file:///together/{name}", line, column))
    began = time.perf_counter()
    answers = await asyncio.gather(*(editor.ask(*a)[1] for a in asked))
    took = time.perf_counter() - began
    return {
        "what": "together",
        "documents": len(asked),
        "answered": sum(bool(a.items) for a in answers),
        "all_ms": round(1e3 * took, 1),
    }


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Resident, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 >> 20


async def measure(options: argparse.Namespace) -> None:
    rng = random.Random(options.seed)
    editor = Editor(options.engine)
    print(json.dumps({"what": "start", "ready_s": round(await editor.start(), 1)}), flush=True)
    for line in await waiting(editor, options.each, rng):
        print(json.dumps(line), flush=True)
    print(json.dumps(await together(editor, rng)), flush=True)
    print(json.dumps(await typing(editor, options.seconds, options.rate, rng)), flush=True)
    found = await editor.run("statistics")
    server = {"what": "memory", "server_mb": memory(editor.client._server.pid), "worker_mb": memory(found["worker"])}
    print(json.dumps({**server, "counts": found["counts"]}), flush=True)
    await editor.stop()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lsp", description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=4, metavar="N", help="holes in each of 8 files (default: 4)")
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="of typing (default: 5)")
    parser.add_argument("--rate", type=int, default=1000, metavar="N", help="edits a second (default: 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", metavar="MODULE:FUNCTION", help="another engine than the embedded model, for tests")
    asyncio.run(measure(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
