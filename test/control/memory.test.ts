import { MemoryControlStore } from '../../src/control/memory.ts';
import { controlStoreSuite } from '../suites/control-store.suite.ts';

controlStoreSuite('memory', (options) => {
  const store = new MemoryControlStore(options);
  return { open: () => store, dispose: () => store.close() };
});
