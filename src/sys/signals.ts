/**
 * Signals by number: those that node has no name for, as the real-time ones.
 * @module
 */

/** Node's own wrapper of libuv's signal watch. */
interface SignalWatch {
  onsignal: (signal: number) => void;
  start(signal: number): number;
  unref(): void;
}

/** Calls back, on the event loop, when the process gets the signal. Returns false where this node has no way to do it. */
export function onSignalNumber(signal: number, callback: () => void): boolean {
  const former = process.noDeprecation;
  // The one door to a signal without a name; node says that it is old, and offers no other.
  process.noDeprecation = true;
  try {
    const binding = (
      process as unknown as { binding(name: string): { Signal: new () => SignalWatch } }
    ).binding("signal_wrap");
    const watch = new binding.Signal();
    watch.unref();
    watch.onsignal = callback;
    return watch.start(signal) === 0;
  } catch {
    return false;
  } finally {
    if (former === undefined) delete (process as { noDeprecation?: boolean }).noDeprecation;
    else process.noDeprecation = former;
  }
}
