/** Where a cluster on this machine lies, and what is where in it. Does no I/O. */
import { join, resolve } from 'node:path';
import { checkControlUrl } from '../control/open-control.ts';
import type { Shell } from './shell.ts';

/** Our own identity in a development cluster. */
export const ADMIN = 'admin';

/** --dir, or KWAM_DIR, or ./.kwam. */
export function clusterDirectory(shell: Shell, dir: string | undefined): string {
  return resolve(dir ?? shell.environment['KWAM_DIR'] ?? '.kwam');
}

/** --control, or KWAM_CONTROL; neither means what the cluster's directory says. */
export function controlUrl(shell: Shell, control: string | undefined): string | undefined {
  const url = control ?? shell.environment['KWAM_CONTROL'];
  return url === undefined ? undefined : checkControlUrl(url);
}

export const planPath = (directory: string): string => join(directory, 'plan.json');
export const inventoryPath = (directory: string): string => join(directory, 'inventory.json');
/** Public keys that the plan names, by the paths that its program gives them. */
export const trustPath = (directory: string): string => join(directory, 'trust');
export const identityPath = (directory: string): string => join(directory, 'identity');
export const controlPath = (directory: string): string => join(directory, 'control');
