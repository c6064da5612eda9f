/**
 * Host names from the DNS, all at once and with a time limit, so that a listing does not hang on addresses without a name.
 * @module
 */
import { promises as dns } from "node:dns";
import type { Resolver } from "./names.ts";

/** @param limitMs time after which names still unknown stay numbers. */
export function dnsResolver(limitMs: number): Resolver {
  return {
    async address(name) {
      try {
        // lookup() is getaddrinfo(3): it knows search domains, as gethostbyname(3) does.
        return (await dns.lookup(name, { family: 4 })).address;
      } catch {
        return undefined;
      }
    },
    async names(addresses) {
      const resolver = new dns.Resolver({ timeout: 1000, tries: 2 });
      const found = new Map<string, string>();
      const timer = setTimeout(() => resolver.cancel(), limitMs);
      await Promise.all(
        addresses.map(async (address) => {
          try {
            const [name] = await resolver.reverse(address);
            if (name) found.set(address, name);
          } catch {
            // No name, or out of time: the number is shown.
          }
        }),
      );
      clearTimeout(timer);
      return found;
    },
  };
}
