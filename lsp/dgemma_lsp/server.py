"""The protocol: what an editor may ask, and how it is answered. Start it as `dgemma-lsp`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import uuid
from typing import Any

from lsprotocol import types as t

from dgemma_constrain import __version__
from dgemma_lsp.documents import Document
from dgemma_lsp.session import Server
from dgemma_lsp.settings import Settings, updated
from dgemma_lsp.suggestions import Suggestion
from dgemma_lsp.worker import ENGINE

log = logging.getLogger("dgemma_lsp")

CLIENT_SEEN_EVERY = 10.0  # seconds
TRIGGERS = [".", "(", "[", "{", ":", ",", "=", " ", '"', "'"]
WORD = re.compile(r"\w*$")

server = Server()


@server.feature(t.INITIALIZE)
def initialize(ls: Server, params: t.InitializeParams) -> None:
    """One way of completion for each client: the inline one where it has that, else the menu."""
    ls.given, wrong = updated(Settings(), params.initialization_options)
    for line in wrong:
        ls.tell(t.MessageType.Warning, line)
    documents = params.capabilities.text_document
    if documents and documents.inline_completion:
        ls.feature(t.TEXT_DOCUMENT_INLINE_COMPLETION, t.InlineCompletionOptions(work_done_progress=True))(
            inline_completion
        )
    else:
        options = t.CompletionOptions(trigger_characters=TRIGGERS, work_done_progress=True)
        ls.feature(t.TEXT_DOCUMENT_COMPLETION, options)(completion)


@server.feature(t.INITIALIZED)
async def initialized(ls: Server, params: t.InitializedParams) -> None:
    asyncio.ensure_future(_end_with(ls.process_id))
    workspace = ls.client_capabilities.workspace
    changes = workspace and workspace.did_change_configuration
    if changes and changes.dynamic_registration:
        # Who can be asked is asked, and tells here only that something changed: what it says then is what it was asked for.
        section = {} if workspace.configuration else {"section": "dgemma"}
        registration = t.Registration(str(uuid.uuid4()), t.WORKSPACE_DID_CHANGE_CONFIGURATION, section)
        await ls.client_register_capability_async(t.RegistrationParams([registration]))
    if not await ls.pull_configuration():
        await ls.use(ls.given)


@server.feature(t.WORKSPACE_DID_CHANGE_CONFIGURATION)
async def configuration_changed(ls: Server, params: t.DidChangeConfigurationParams) -> None:
    if params.settings or not await ls.pull_configuration():
        await ls.configure(params.settings)


@server.feature(t.SHUTDOWN)
async def shutdown(ls: Server, params: None) -> None:
    for uri in ls.completer.documents:
        ls.completer.stop(uri)
    await ls.completer.worker.stop()


async def suggestions(ls: Server, params: Any, invoked: bool) -> tuple[Document, list[Suggestion]]:
    document = ls.document(params.text_document.uri)
    cursor = document.offset(params.position)
    if params.work_done_token is None:
        return document, await ls.completer.complete(document.uri, cursor, invoked)
    async with ls.progress("writing", params.work_done_token) as report:
        return document, await ls.completer.complete(document.uri, cursor, invoked, report)


async def inline_completion(ls: Server, params: t.InlineCompletionParams) -> t.InlineCompletionList:
    invoked = params.context.trigger_kind == t.InlineCompletionTriggerKind.Invoked
    document, found = await suggestions(ls, params, invoked)
    return t.InlineCompletionList(
        [
            t.InlineCompletionItem(
                insert_text=s.text,
                range=ls.range(document, s.start, s.end),
                command=t.Command(title="accepted", command="dgemma.accepted", arguments=[document.uri]),
            )
            for s in found
        ]
    )


async def completion(ls: Server, params: t.CompletionParams) -> t.CompletionList:
    """Not complete: after the next key there may be something else."""
    invoked = params.context is None or params.context.trigger_kind == t.CompletionTriggerKind.Invoked
    document, found = await suggestions(ls, params, invoked)
    source = document.text
    items = []
    for number, s in enumerate(found):
        word = len(
            WORD.search(source, max(s.start - 100, 0), s.start).group()
        )  # editors filter by the word at the cursor
        start, text = s.start - word, source[s.start - word : s.start] + s.text
        items.append(
            t.CompletionItem(
                label=text.strip().split("\n")[0][:60],
                kind=t.CompletionItemKind.Snippet,
                detail="dgemma",
                documentation=text if "\n" in text else None,
                sort_text=f"{number:04}",
                filter_text=text,
                preselect=number == 0,
                insert_text_format=t.InsertTextFormat.PlainText,
                text_edit=t.TextEdit(ls.range(document, start, s.end), text),
                command=t.Command(title="accepted", command="dgemma.accepted", arguments=[document.uri]),
            )
        )
    return t.CompletionList(is_incomplete=True, items=items)


@server.command("dgemma.accepted")
def accepted(ls: Server, uri: str) -> None:
    """An editor says that a suggestion was taken."""
    ls.completer.memory.accepted(uri)


@server.command("dgemma.complete")
async def complete_here(ls: Server, uri: str, position: t.Position) -> str | None:
    """Write the best completion at a cursor."""
    document = ls.document(uri)
    async with ls.progress("dgemma: completing") as report:
        found = await ls.completer.complete(uri, document.offset(position), True, report)
    if not found or not await ls.put(document, found[0].start, found[0].end, found[0].text, "completion"):
        return None
    return found[0].text


@server.command("dgemma.fillSelection")
async def fill_selection(ls: Server, uri: str, where: t.Range) -> str | None:
    """Write something else in place of a selection."""
    document = ls.document(uri)
    start, end = sorted((document.offset(where.start), document.offset(where.end)))
    async with ls.progress("dgemma: filling the selection") as report:
        found = await ls.completer.fill(uri, start, end, "fill", report)
    if found is None or not await ls.put(document, found.start, found.end, found.text, "fill the selection"):
        return None
    return found.text


@server.command("dgemma.fillTodos")
async def fill_todos(ls: Server, uri: str) -> bool:
    """Write something in place of every TODO, in one edit."""
    document = ls.document(uri)
    async with ls.progress("dgemma: filling TODOs") as report:
        text = await ls.completer.fill_holes(uri, report)
    old = document.text
    return text is not None and text != old and await ls.put(document, 0, len(old), text, "fill all TODOs")


@server.command("dgemma.generateJson")
async def generate_json(ls: Server, uri: str) -> str | None:
    """Write a JSON text for the schema that this one names, in its place."""
    document = ls.document(uri)
    async with ls.progress("dgemma: writing JSON") as report:
        found = await ls.completer.fill(uri, 0, len(document.text), "json", report)
    if found is None or not await ls.put(document, found.start, found.end, found.text, "write JSON"):
        return None
    return found.text


@server.command("dgemma.switchModel")
async def switch_model(ls: Server, name: str) -> None:
    """Go on with another model (or the same, started anew)."""
    ls.told.clear()
    await ls.completer.worker.start(name)


@server.command("dgemma.statistics")
def statistics(ls: Server) -> dict[str, Any]:
    """What happened in this session, counted here and told nobody else; and what the server holds."""
    completer = ls.completer
    return {
        "counts": dict(completer.memory.counts),
        "model": completer.worker.model,
        "ready": completer.worker.ready,
        "encoding": ls.encoding,
        "worker": completer.worker.pid,
        "documents": {
            uri: {"version": d.version, "bytes": len(d), "in step": d.in_step} for uri, d in completer.documents.items()
        },
    }


@server.command("dgemma.text")
def text_of(ls: Server, uri: str) -> str:
    """What the server takes a document to be; for those who doubt it."""
    return ls.document(uri).text


async def _end_with(client: int | None) -> None:
    """End when the client is gone, even if somebody else keeps our stdin open."""
    if client is not None:
        while _runs(client):
            await asyncio.sleep(CLIENT_SEEN_EVERY)
        log.error("the client (%d) is gone", client)
        os._exit(1)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="dgemma-lsp", description="Completions of a diffusion language model for editors."
    )
    parser.add_argument(
        "--tcp", type=int, metavar="PORT", help="listen there, on this machine, instead of stdin and stdout"
    )
    parser.add_argument("--log", metavar="FILE", help="log to a file instead of stderr")
    parser.add_argument("--verbose", action="store_true", help="log what is done, not only what goes wrong")
    parser.add_argument("--engine", default=ENGINE, metavar="MODULE:FUNCTION", help="what writes, for tests")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    logging.basicConfig(filename=options.log, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO if options.verbose else logging.WARNING)
    server.completer.worker.engine = options.engine
    if options.tcp is None:
        server.start_io()
    else:
        server.start_tcp("127.0.0.1", options.tcp)


if __name__ == "__main__":
    main()
