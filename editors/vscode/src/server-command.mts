/**
 * How the language server is started.
 * In: the settings, the folders of the workspace, and whether a file is there. Out: a command and its arguments. Pure.
 */
import { isAbsolute, join } from 'node:path';

export interface ServerSettings {
  /** As written; empty when it is not set. */
  readonly path: string;
  readonly moduleDirectories: readonly string[];
  /** Empty when it is not set. */
  readonly inventory: string;
}

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
}

const LOCAL = join('node_modules', '.bin', 'kwam-dp');

function programOf(
  { path }: ServerSettings,
  folders: readonly string[],
  exists: (path: string) => boolean,
): string {
  if (path === '') {
    const local = folders.map((folder) => join(folder, LOCAL)).find(exists);
    return local ?? 'kwam-dp';
  }
  const [folder] = folders;
  // A bare name is looked for on the PATH, as a shell does.
  const isPlace = /[\\/]/.test(path);
  return isAbsolute(path) || !isPlace || folder === undefined ? path : join(folder, path);
}

/** `--from` takes what follows, up to the next option. */
export function serverCommand(
  settings: ServerSettings,
  folders: readonly string[],
  exists: (path: string) => boolean,
): ServerCommand {
  const program = programOf(settings, folders, exists);
  const placed = (path: string): string =>
    isAbsolute(path) || folders[0] === undefined ? path : join(folders[0], path);
  const from = settings.moduleDirectories.map(placed);
  const args = [
    ...['lsp', '--stdio'],
    ...(settings.inventory === '' ? [] : ['--inventory', placed(settings.inventory)]),
    ...(from.length === 0 ? [] : ['--from', ...from]),
  ];
  return /\.m?js$/.test(program) ? { command: 'node', args: [program, ...args] } : { command: program, args };
}
