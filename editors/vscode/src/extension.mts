/**
 * The extension of VS Code: starts `kwam-dp lsp --stdio` and hands it the KWAM documents.
 * A workspace that is not trusted starts nothing, because the program that would run may be the workspace's own. Another setting
 * restarts the server. Everything else is the server's.
 */
import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import { LanguageClient, type LanguageClientOptions } from 'vscode-languageclient/node';
import { serverCommand } from './server-command.mts';

const SECTION = 'kwam';
const OPEN_SETTINGS = 'Open settings';

let client: LanguageClient | undefined;

function createClient(): LanguageClient {
  const settings = vscode.workspace.getConfiguration(SECTION);
  const folders = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
  const { command, args } = serverCommand(
    {
      path: settings.get<string>('path', '').trim(),
      moduleDirectories: settings.get<string[]>('moduleDirectories', []),
      inventory: settings.get<string>('inventory', '').trim(),
    },
    folders,
    existsSync,
  );
  const [cwd] = folders;
  // npm's programs are scripts of the shell on Windows.
  const options = { shell: process.platform === 'win32', ...(cwd === undefined ? {} : { cwd }) };
  const clientOptions: LanguageClientOptions = {
    documentSelector: [
      { language: 'kwam', scheme: 'file' },
      { language: 'kwam', scheme: 'untitled' },
    ],
  };
  return new LanguageClient(SECTION, 'KWAM', { command, args: [...args], options }, clientOptions);
}

async function start(): Promise<void> {
  if (!vscode.workspace.isTrusted || client !== undefined) return;
  const starting = createClient();
  client = starting;
  try {
    await starting.start();
  } catch (error) {
    if (client === starting) client = undefined;
    await explain(error);
  }
}

async function explain(error: unknown): Promise<void> {
  const why = error instanceof Error ? error.message : String(error);
  const message = `KWAM: expected to start kwam-dp as the language server, got: ${why}. Install it, or name it in the setting kwam.path.`;
  const chosen = await vscode.window.showErrorMessage(message, OPEN_SETTINGS);
  if (chosen === OPEN_SETTINGS) {
    await vscode.commands.executeCommand('workbench.action.openSettings', 'kwam.path');
  }
}

async function stop(): Promise<void> {
  const stopping = client;
  client = undefined;
  // One that never came up cannot be stopped, and need not be.
  if (stopping?.isRunning() === true) await stopping.stop();
}

async function restart(): Promise<void> {
  await stop();
  await start();
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.commands.registerCommand('kwam.restart', restart),
    vscode.workspace.onDidGrantWorkspaceTrust(start),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration(SECTION)) await restart();
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await stop();
}
