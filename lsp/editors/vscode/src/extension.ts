// VS Code shows what the server suggests by itself (textDocument/inlineCompletion); this starts the server and has the commands.
import * as vscode from "vscode";
import { LanguageClient, ServerOptions } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const settings = () => vscode.workspace.getConfiguration("dgemma");
  const [command, ...args] = settings().get<string[]>("command", ["dgemma-lsp"]);
  const server: ServerOptions = { command, args };
  client = new LanguageClient("dgemma", "dgemma", server, {
    documentSelector: [{ scheme: "file" }, { scheme: "untitled" }],
    initializationOptions: own(settings()),
    middleware: {
      workspace: {
        // `command` is ours, not the server's: it says so of settings that it doesn't know
        configuration: async (params, token, next) => {
          const given = await next(params, token);
          return Array.isArray(given) ? given.map((section) => own(section ?? {})) : given;
        },
      },
    },
  });

  const run = (name: string, ...given: unknown[]) =>
    client!.sendRequest("workspace/executeCommand", { command: `dgemma.${name}`, arguments: given });
  const inEditor = (name: string, what: (editor: vscode.TextEditor, uri: string) => unknown) =>
    vscode.commands.registerCommand(`dgemma.editor.${name}`, async () => {
      const editor = vscode.window.activeTextEditor;
      if (!editor) return;
      try {
        await what(editor, client!.code2ProtocolConverter.asUri(editor.document.uri));
      } catch (error) {
        void vscode.window.showErrorMessage(`dgemma: ${error instanceof Error ? error.message : error}`);
      }
    });
  const convert = client.code2ProtocolConverter;
  context.subscriptions.push(
    client,
    inEditor("complete", (e, uri) => run("complete", uri, convert.asPosition(e.selection.active))),
    inEditor("fillSelection", (e, uri) => run("fillSelection", uri, convert.asRange(e.selection))),
    inEditor("fillTodos", (_, uri) => run("fillTodos", uri)),
    inEditor("generateJson", (_, uri) => run("generateJson", uri)),
    vscode.commands.registerCommand("dgemma.editor.switchModel", async () => {
      const name = await vscode.window.showInputBox({ prompt: "Model: embedded, a path, or a hub id", value: settings().get("model") });
      if (name) await run("switchModel", name);
    }),
    vscode.commands.registerCommand("dgemma.editor.statistics", async () => {
      const content = JSON.stringify(await run("statistics"), null, 2);
      await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ language: "json", content }));
    }),
  );
  await client.start();
}

function own(section: vscode.WorkspaceConfiguration | Record<string, unknown>): Record<string, unknown> {
  const { command: _, ...rest } = JSON.parse(JSON.stringify(section));
  return rest;
}

export function deactivate(): Promise<void> | undefined {
  return client?.stop();
}
