/**
 * Which process a pid means. A pid alone is recycled; with its start time it is not, until the machine boots again.
 * In: a pid. Out: its start time in clock ticks since boot, or undefined when there is no such process or only its zombie.
 * Source: proc(5), /proc/<pid>/stat fields 3 (state) and 22 (starttime). Linux only. Does not signal anything.
 */
import * as fs from 'node:fs';

export function processStartTicks(pid: number): number | undefined {
  let stat: string;
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
  // The name in parentheses may hold anything, so the fields are counted from behind the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return state === 'Z' || state === 'X' ? undefined : Number(fields[19]);
}

/** Where pids mean the same processes: this boot of this kernel and this pid namespace. */
export function pidSpace(): string {
  const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return `${boot} ${fs.readlinkSync('/proc/self/ns/pid')}`;
}
