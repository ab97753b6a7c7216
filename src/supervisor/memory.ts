import { trimMemory } from "../native/calls.ts";

/**
 * Milliseconds of quiet after which memory that is not needed any more is given back. The second time is for what only a second
 * collection finds (buffers are freed in the background), and for what V8's own, some 8 s after a burst, has put into memory.
 */
const QUIET = [1000, 1200, 11_000];

/**
 * V8's garbage collector, which would otherwise come by after 8 s or much later. As an option of Node's own it would cost 16 ms:
 * V8 refuses code caches, Node's included, that were made with other options.
 */
async function garbageCollector(): Promise<() => void> {
  const [v8, vm] = await Promise.all([import("node:v8"), import("node:vm")]);
  v8.setFlagsFromString("--expose-gc");
  // A thousand ports leave so much garbage at once that V8 would take 16 MB more for the young, and keep it.
  v8.setFlagsFromString("--semi-space-growth-factor=1");
  return vm.runInNewContext("gc") as () => void;
}

/**
 * Gives memory back whenever this process has been quiet for a moment: what its start needed, what a thousand ports took while
 * they were added. `busy` is to be called when something has been done; `stop` ends it.
 */
export async function keepSmall(): Promise<{ busy(): void; stop(): void }> {
  const collectGarbage = await garbageCollector();
  const timers = QUIET.map((milliseconds) =>
    setTimeout(() => {
      collectGarbage();
      trimMemory();
    }, milliseconds),
  );
  return {
    busy: () => {
      for (const timer of timers) timer.refresh();
    },
    stop: () => timers.forEach(clearTimeout),
  };
}
