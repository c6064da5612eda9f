/**
 * A process that stays keeps the hooks as they should be: interfaces that come are hooked, and where a real server is reached is looked
 * up again when addresses or routes change. Commands do the same once, when they run.
 * @module
 */
import { Interfaces } from "../../sys/interfaces.ts";

/** News come in bursts: a new interface is several messages. */
const SETTLE_MS = 50;
/** Where news never end, as with a routing daemon, this is between two looks. */
const REST_MS = 1000;

/** @param look waits for its end before it is called again; must not reject. @returns what ends it */
export function followInterfaces(look: () => Promise<void>): () => void {
  const news = new Interfaces();
  let timer: NodeJS.Timeout | undefined;
  let again = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const soon = (): void => {
    if (timer) {
      again = true;
      return;
    }
    timer = setTimeout(turn, Math.max(SETTLE_MS, lookedAt + REST_MS - performance.now()));
    timer.unref();
  };
  const turn = async (): Promise<void> => {
    again = false;
    await look();
    lookedAt = performance.now();
    timer = undefined;
    if (again) soon();
  };
  news.onChange(soon, true);
  return () => {
    clearTimeout(timer);
    news.close();
  };
}
