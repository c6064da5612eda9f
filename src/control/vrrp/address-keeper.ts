/**
 * Which addresses this program set on the host, and for whom. What was on the host before is never added, and not removed either, unless
 * another router turns out to have it.
 * @module
 */
import type { AddressToSet, HostInterface, VrrpHost } from "./host.ts";

/** Tells what could not be done, or was left alone. */
export type Tell = (owner: string, level: "info" | "warning", address: string, text: string) => void;

const key = (a: Pick<AddressToSet, "device" | "address">): string => `${a.device} ${a.address}`;

const isOn = (host: ReadonlyMap<string, HostInterface>, a: AddressToSet): boolean =>
  host.get(a.device)?.addresses.some((h) => h.address === a.address) ?? false;

const text = (a: AddressToSet): string => `${a.address}/${a.prefix} dev ${a.device}`;

/** The addresses set for instances ("owners"). */
export class AddressKeeper {
  readonly #host: VrrpHost;
  readonly #tell: Tell;
  /** Owner → what was set for it, by key. */
  readonly #set = new Map<string, Map<string, AddressToSet>>();
  /** Keys of addresses that others set. */
  readonly #foreign = new Set<string>();

  constructor(host: VrrpHost, tell: Tell) {
    this.#host = host;
    this.#tell = tell;
  }

  /**
   * Before an owner starts: removes what a former run of this program left behind, or with `keep` goes on with it, and notes what others set.
   */
  adopt(
    owner: string,
    wanted: readonly AddressToSet[],
    keep = false,
    interfaces = this.#host.interfaces(),
  ): void {
    for (const a of wanted) {
      const there = interfaces.get(a.device)?.addresses.find((h) => h.address === a.address);
      if (there === undefined || this.#setBySomebody(key(a)) || this.#foreign.has(key(a))) continue;
      if (!there.ours) {
        this.#foreign.add(key(a));
        this.#tell(
          owner,
          "warning",
          a.address,
          `${a.address} was on ${a.device} before: it is left there, whatever state this instance has`,
        );
        continue;
      }
      if (keep && there.prefix === a.prefix) {
        const now = this.#set.get(owner) ?? new Map<string, AddressToSet>();
        this.#set.set(owner, now.set(key(a), a));
        continue;
      }
      this.#try(owner, `remove ${text(a)}, left by a former run`, a, () =>
        this.#host.removeAddress({ ...a, prefix: there.prefix }),
      );
    }
  }

  /**
   * Another router is master of these: those that were on the host before go, or two hosts would have them. They were left by a program that was
   * killed, or set by hand; from now on they are the owner's.
   */
  yield(owner: string, wanted: readonly AddressToSet[], to: string): void {
    if (this.#foreign.size === 0) return;
    for (const a of wanted) {
      if (!this.#foreign.delete(key(a))) continue;
      const there = this.#host
        .interfaces()
        .get(a.device)
        ?.addresses.find((h) => h.address === a.address);
      if (there === undefined) continue;
      const gone = this.#try(owner, `remove ${text(a)}, which ${to} has`, a, () =>
        this.#host.removeAddress({ ...a, prefix: there.prefix }),
      );
      if (!gone) continue;
      const why = `${a.address} was on ${a.device} before, but ${to} is master of it: removed here, or two hosts would have it`;
      this.#tell(owner, "warning", a.address, why);
    }
  }

  /** Whether something is wanted that could not be set, and may be set now. */
  lacking(
    owner: string,
    wanted: readonly AddressToSet[],
    interfaces: ReadonlyMap<string, HostInterface>,
  ): boolean {
    const set = this.#set.get(owner);
    return wanted.some(
      (a) =>
        !set?.has(key(a)) && !this.#foreign.has(key(a)) && interfaces.has(a.device) && !isOn(interfaces, a),
    );
  }

  /**
   * Makes the owner's addresses be these: adds what is missing on the host, removes what is not wanted any more. `interfaces` as they are, but
   * for what other owners took meanwhile.
   */
  take(owner: string, wanted: readonly AddressToSet[], interfaces = this.#host.interfaces()): void {
    const former = this.#set.get(owner) ?? new Map<string, AddressToSet>();
    const now = new Map<string, AddressToSet>();
    this.#set.set(owner, now);
    const keys = new Set(wanted.map(key));
    for (const [k, a] of former) {
      if (keys.has(k)) continue;
      if (!this.#setBySomebody(k))
        this.#try(owner, `remove ${text(a)}`, a, () => this.#host.removeAddress(a));
      this.#tell(
        owner,
        "info",
        a.address,
        `ip address ${a.address}/${a.prefix} dev ${a.device}, no longer exist`,
      );
    }
    for (const a of wanted) {
      const k = key(a);
      const shared = this.#setBySomebody(k);
      const old = former.get(k);
      const same = old !== undefined && old.prefix === a.prefix;
      if (isOn(interfaces, a) && (same || shared)) {
        now.set(k, a);
        continue;
      }
      if (isOn(interfaces, a) && old === undefined) {
        if (!this.#foreign.has(k))
          this.#tell(
            owner,
            "warning",
            a.address,
            `${a.address} is on ${a.device} already: somebody else set it`,
          );
        this.#foreign.add(k);
        continue;
      }
      this.#foreign.delete(k);
      if (old !== undefined && isOn(interfaces, a))
        this.#try(owner, `remove ${text(old)}`, old, () => this.#host.removeAddress(old));
      if (this.#try(owner, `set ${text(a)}`, a, () => this.#host.addAddress(a))) now.set(k, a);
    }
  }

  /** Takes an owner's addresses back. */
  release(owner: string): void {
    const gone = this.#set.get(owner);
    this.#set.delete(owner);
    if (!gone) return;
    const interfaces = this.#host.interfaces();
    for (const [k, a] of gone) {
      if (this.#setBySomebody(k) || !isOn(interfaces, a)) continue;
      this.#try(owner, `remove ${text(a)}`, a, () => this.#host.removeAddress(a));
    }
  }

  /** The first address of an owner, among those with `tracked`, that is not on the host any more. */
  missing(
    owner: string,
    tracked: ReadonlySet<string>,
    interfaces: ReadonlyMap<string, HostInterface>,
  ): string | undefined {
    for (const a of this.#set.get(owner)?.values() ?? [])
      if (tracked.has(a.address) && !isOn(interfaces, a)) return a.address;
    return undefined;
  }

  #setBySomebody(k: string): boolean {
    for (const addresses of this.#set.values()) if (addresses.has(k)) return true;
    return false;
  }

  #try(owner: string, what: string, a: AddressToSet, body: () => void): boolean {
    try {
      body();
      return true;
    } catch (error) {
      this.#tell(owner, "warning", a.address, `cannot ${what}: ${(error as Error).message}`);
      return false;
    }
  }
}
