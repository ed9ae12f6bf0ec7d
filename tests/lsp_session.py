"""A language server under test, with a client beside it."""

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

from lsprotocol import types as t
from pytest_lsp import ClientServerConfig

HERE = Path(__file__).parent
URI = "file:///somewhere/a.py"


def capabilities(inline=True, encodings=("utf-16",), pull=False, progress=False):
    return t.ClientCapabilities(
        general=t.GeneralClientCapabilities(position_encodings=[t.PositionEncodingKind(e) for e in encodings]),
        text_document=t.TextDocumentClientCapabilities(
            inline_completion=t.InlineCompletionClientCapabilities() if inline else None,
        ),
        workspace=t.WorkspaceClientCapabilities(
            configuration=pull,
            apply_edit=True,
            workspace_edit=t.WorkspaceEditClientCapabilities(document_changes=True),
            did_change_configuration=t.DidChangeConfigurationClientCapabilities(dynamic_registration=True),
        ),
        window=t.WindowClientCapabilities(work_done_progress=progress),
    )


def environment(**more):
    path = os.pathsep.join([str(HERE.parent), str(HERE.parent / "lsp"), str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, **more}


def command(engine, *options):
    return [
        sys.executable,
        "-m",
        "dgemma_lsp",
        "--engine",
        engine if ":" in engine else f"lsp_engines:{engine}",
        *options,
    ]


class Session:
    def __init__(self, client):
        self.client = client
        self.edits = []
        self.registered = []

    def open(self, text, uri=URI, language="python", version=1):
        item = t.TextDocumentItem(uri=uri, language_id=language, version=version, text=text)
        self.client.text_document_did_open(t.DidOpenTextDocumentParams(item))

    def change(self, start, end, text, version, uri=URI):
        change = t.TextDocumentContentChangePartial(range=t.Range(t.Position(*start), t.Position(*end)), text=text)
        self.client.text_document_did_change(
            t.DidChangeTextDocumentParams(t.VersionedTextDocumentIdentifier(uri=uri, version=version), [change])
        )

    def inline(self, line, character, invoked=True, uri=URI, token=None):
        kind = t.InlineCompletionTriggerKind.Invoked if invoked else t.InlineCompletionTriggerKind.Automatic
        return self.client.text_document_inline_completion_async(
            t.InlineCompletionParams(
                context=t.InlineCompletionContext(trigger_kind=kind),
                text_document=t.TextDocumentIdentifier(uri),
                position=t.Position(line, character),
                work_done_token=token,
            )
        )

    async def texts(self, *args, **options):
        return [item.insert_text for item in (await self.inline(*args, **options)).items]

    async def menu(self, line, character, uri=URI):
        params = t.CompletionParams(text_document=t.TextDocumentIdentifier(uri), position=t.Position(line, character))
        return (await self.client.text_document_completion_async(params)).items

    def run(self, name, *arguments):
        return self.client.workspace_execute_command_async(
            t.ExecuteCommandParams(command=f"dgemma.{name}", arguments=list(arguments))
        )

    async def counts(self):
        return (await self.run("statistics"))["counts"]

    async def until_ready(self):
        await self.until_statistics(lambda s: s["ready"])

    async def until_statistics(self, condition):
        end = time.monotonic() + 30
        while not condition(await self.run("statistics")):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)

    async def until(self, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end
            await asyncio.sleep(0.01)


@asynccontextmanager
async def session(engine="prompt", client_can=None, options=None, configuration=None, ready=True, **env):
    client = await ClientServerConfig(server_command=command(engine), server_env=environment(**env)).start()
    made = Session(client)

    @client.feature(t.WORKSPACE_APPLY_EDIT)
    def apply(params: t.ApplyWorkspaceEditParams):
        made.edits.append(params.edit)
        return t.ApplyWorkspaceEditResult(applied=True)

    @client.feature(t.CLIENT_REGISTER_CAPABILITY)
    def register(params: t.RegistrationParams):
        made.registered += params.registrations

    if configuration is not None:
        client.set_configuration({"dgemma": configuration})
    made.initialized = await client.initialize_session(
        t.InitializeParams(capabilities=client_can or capabilities(), initialization_options=options)
    )
    try:
        if ready:
            await made.until_ready()
        yield made
    finally:
        await client.shutdown_session()
        await client.stop()
