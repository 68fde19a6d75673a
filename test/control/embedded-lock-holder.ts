/** A process that kills itself inside a write transaction, holding the lock: argv DIRECTORY. */
import { systemClock } from '../../src/clock.ts';
import { EmbeddedControlStore } from '../../src/control/embedded.ts';

/** grantLease asks for the time after its first write; SIGKILL to oneself arrives before the call returns. */
const now = () => {
  process.kill(process.pid, 'SIGKILL');
  return 0;
};
const store = EmbeddedControlStore.open({ directory: process.argv[2]!, clock: { ...systemClock, now } });
await store.grantLease(1000);
