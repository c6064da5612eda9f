/**
 * The machine as it is: sockets, rtnetlink, nftables. See `host.ts` for what each thing is for.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { bootTimeMs } from "../../sys/boot-clock.ts";
import { bindToInterface, GroupReceiver, withoutLoop } from "../../sys/group-receiver.ts";
import { ADDRESS_FLAG, Interfaces, type NetworkInterface, type NewAddress } from "../../sys/interfaces.ts";
import { errnoName, SysError } from "../../sys/libc.ts";
import { PacketSocket, RawSender } from "../../sys/rawsocket.ts";
import { Routes } from "../../sys/route.ts";
import { formatAddress, parseAddress, toWords } from "../../wire/address.ts";
import { parseMac } from "../../wire/ethernet.ts";
import { announcement } from "./frames.ts";
import type { AddressToSet, HostInterface, Listening, VrrpHost } from "./host.ts";
import type { Packet } from "./receive.ts";
import { Refusal } from "./refusal.ts";
import { VirtualRoutes } from "./routes.ts";
import type { RouteSpec } from "./spec.ts";

/** Mark of our addresses (IFA_PROTO): VRRP's own protocol number. */
const MARK = 112;
const IPV6_SCOPE_LINK = 253;
/** News of a burst are taken together. */
const CHANGE_DELAY_MS = 5;
const EXISTS = "EEXIST";
const GONE = ["EADDRNOTAVAIL", "ENODEV"];

/** What happens outside. */
export interface HostCallbacks {
  wake(): void;
  readable(): void;
  changed(lostRoutes: readonly string[]): void;
  log(text: string): void;
}

interface Receiver {
  readonly listening: Listening;
  readonly index: number;
  readonly socket: GroupReceiver;
}

/** This network namespace. */
export class LinuxHost implements VrrpHost {
  readonly #callbacks: HostCallbacks;
  readonly #interfaces = new Interfaces();
  readonly #routing = new Routes();
  readonly #routes: VirtualRoutes;
  readonly #refusal = new Refusal();
  readonly #receivers = new Map<string, Receiver>();
  readonly #senders = new Map<string, { readonly index: number; readonly sender: RawSender }>();
  readonly #announcers = new Map<string, { readonly index: number; readonly socket: PacketSocket }>();
  readonly #made = new Set<string>();
  /** Settings of the kernel that were changed → what they were. */
  readonly #changed = new Map<string, string>();
  #snapshot: ReadonlyMap<string, NetworkInterface> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #changeTimer: NodeJS.Timeout | undefined;
  #watchesRoutes = false;

  constructor(callbacks: HostCallbacks) {
    this.#callbacks = callbacks;
    this.#routes = new VirtualRoutes((owner, text) =>
      callbacks.log(owner === "" ? text : `(${owner.trim()}) ${text}`),
    );
    this.#interfaces.onChange(() => this.#news());
  }

  #news(): void {
    this.#changeTimer ??= setTimeout(() => {
      this.#changeTimer = undefined;
      if (!this.#watchesRoutes) this.#callbacks.changed([]);
      else {
        this.#callbacks.changed([]);
        void this.#routes.lost().then((lost) => {
          if (lost.length > 0) this.#callbacks.changed(lost);
        });
      }
    }, CHANGE_DELAY_MS);
  }

  now(): number {
    return bootTimeMs();
  }

  wallClock(): number {
    return Date.now();
  }

  wakeIn(delayMs: number): void {
    clearTimeout(this.#timer);
    // A timer of node ends up to a millisecond early.
    this.#timer = setTimeout(() => this.#callbacks.wake(), Math.min(Math.ceil(delayMs), 2 ** 31 - 1));
  }

  interfaces(): ReadonlyMap<string, HostInterface> {
    this.#snapshot = this.#interfaces.list();
    const found = new Map<string, HostInterface>();
    for (const [name, i] of this.#snapshot) {
      const addresses = i.addresses.map((a) => ({
        family: a.family,
        address: a.address,
        prefix: a.prefix,
        scope: a.scope,
        secondary: (a.flags & ADDRESS_FLAG.secondary) !== 0,
        ours: a.protocol === MARK,
      }));
      found.set(name, { index: i.index, up: i.up, mtu: i.mtu, mac: i.mac, addresses });
    }
    return found;
  }

  sourceTowards(peer: string): string | undefined {
    const { family, bytes } = parseAddress(peer)!;
    const source = this.#routing.lookup(bytes, 0)?.source;
    return source && source.length > 0 ? formatAddress(family, source) : undefined;
  }

  #device(name: string): NetworkInterface {
    const device = this.#snapshot.get(name);
    if (device === undefined) throw new Error(`there is no interface ${name}`);
    return device;
  }

  addAddress(a: AddressToSet): void {
    const { index } = this.#device(a.device);
    const { family } = parseAddress(a.address)!;
    // Another master may still have it for a moment, so nobody asks for duplicates.
    let flags: number = family === 6 ? ADDRESS_FLAG.nodad : 0;
    for (const word of a.flags) {
      const bit = (ADDRESS_FLAG as Record<string, number>)[word];
      if (bit !== undefined) flags |= bit;
    }
    const broadcast = a.broadcast === "+" ? broadcastOf(a.address, a.prefix) : a.broadcast;
    // compat: keepalived 2.2.7; the host's own connections shall not come from an address that moves.
    const preferredLifetimeS = a.preferredLifetimeS ?? (family === 6 && a.prefix === 128 ? 0 : undefined);
    const wanted: NewAddress = {
      address: a.address,
      prefix: a.prefix,
      scope: family === 6 && a.address.startsWith("fe80") ? IPV6_SCOPE_LINK : a.scope,
      flags,
      protocol: MARK,
      ...(broadcast !== undefined && { broadcast }),
      ...(a.peer !== undefined && { peer: a.peer }),
      ...(a.label !== undefined && { label: a.label }),
      ...(preferredLifetimeS !== undefined && { preferredLifetimeS }),
    };
    try {
      this.#interfaces.addAddress(index, wanted);
    } catch (error) {
      if (!(error instanceof SysError) || error.code !== EXISTS) throw error;
    }
  }

  removeAddress(a: AddressToSet): void {
    try {
      this.#interfaces.removeAddress(this.#device(a.device).index, a);
    } catch (error) {
      if (!(error instanceof SysError) || !GONE.includes(error.code)) throw error;
    }
  }

  addRoutes(owner: string, routes: readonly RouteSpec[], rules: readonly RouteSpec[]): void {
    if (!this.#watchesRoutes) {
      this.#watchesRoutes = true;
      this.#interfaces.onChange(() => this.#news(), true);
    }
    this.#routes.add(owner, routes, rules);
  }

  removeRoutes(owner: string): void {
    this.#routes.remove(owner);
  }

  /** Resolves when routes and rules have been set and removed. */
  settled(): Promise<void> {
    return this.#routes.settled();
  }

  listen(wanted: readonly Listening[]): void {
    const keys = new Map(wanted.map((l) => [`${l.interface} ${l.family} ${l.protocol}`, l]));
    for (const [key, r] of this.#receivers) {
      const next = keys.get(key);
      const device = this.#snapshot.get(r.listening.interface);
      if (next?.groups.join() === r.listening.groups.join() && (device?.index ?? 0) === r.index) continue;
      r.socket.close();
      this.#receivers.delete(key);
    }
    for (const [key, listening] of keys) {
      if (this.#receivers.has(key)) continue;
      const device = listening.interface === "" ? undefined : this.#snapshot.get(listening.interface);
      if (listening.interface !== "" && device === undefined) continue; // it may come
      try {
        const socket = new GroupReceiver(listening.family, listening.protocol, device);
        for (const group of listening.groups) socket.join(group);
        socket.onReadable(() => this.#callbacks.readable());
        this.#receivers.set(key, { listening, index: device?.index ?? 0, socket });
      } catch (error) {
        this.#callbacks.log(`cannot listen on ${listening.interface}: ${(error as Error).message}`);
      }
    }
  }

  receive(): { readonly interface: string; readonly packet: Packet } | undefined {
    for (let n = this.#receivers.size; n > 0; n--) {
      // In turn, so that a flood on one interface does not silence the others.
      const [key, receiver] = this.#receivers.entries().next().value!;
      this.#receivers.delete(key);
      this.#receivers.set(key, receiver);
      const { listening, socket } = receiver;
      const got = socket.read();
      if (got) return { interface: listening.interface, packet: { ...got, family: listening.family } };
    }
    return undefined;
  }

  send(family: 4 | 6, device: string, packet: Uint8Array, destination: string): string | undefined {
    try {
      const errno = this.#sender(family, device).send(packet, packet.length, toWords(destination), 0);
      return errno ? errnoName(errno) : undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #sender(family: 4 | 6, device: string): RawSender {
    const key = `${family} ${device}`;
    const index = device === "" ? 0 : this.#device(device).index;
    const there = this.#senders.get(key);
    if (there?.index === index) return there.sender;
    there?.sender.close();
    const sender = new RawSender(family);
    if (device !== "") bindToInterface(sender.fd, device);
    withoutLoop(sender.fd, family);
    this.#senders.set(key, { index, sender });
    return sender;
  }

  announce(device: string, address: string): void {
    const there = this.#snapshot.get(device);
    const mac = there && parseMac(there.mac);
    if (!there || !mac || !there.up) return;
    try {
      let announcer = this.#announcers.get(device);
      if (announcer?.index !== there.index) {
        announcer?.socket.close();
        announcer = { index: there.index, socket: new PacketSocket(there.index, 0) };
        this.#announcers.set(device, announcer);
      }
      announcer.socket.send(announcement(address, mac, address.includes(":") && forwards(device)));
    } catch (error) {
      this.#callbacks.log(`cannot announce ${address} on ${device}: ${(error as Error).message}`);
    }
  }

  virtualInterface(name: string, over: string, mac: string): void {
    this.#snapshot = this.#interfaces.list();
    const there = this.#snapshot.get(name);
    if (there) {
      if (there.mac === mac) return;
      throw new Error(
        `there is an interface ${name} already, with the hardware address ${there.mac} instead of ${mac}`,
      );
    }
    const base = this.#device(over);
    try {
      this.#interfaces.addMacvlan(name, base.index, mac);
    } catch (error) {
      if (error instanceof SysError && ["EOPNOTSUPP", "ENOTSUP"].includes(error.code))
        throw new Error(
          "this kernel has no macvlan (CONFIG_MACVLAN); leave use_vmac out, or load the module",
        );
      throw error;
    }
    this.#made.add(name);
    // As keepalived sets them: the interface answers for its own addresses only, and takes packets that come to the base interface's.
    for (const [key, value] of Object.entries({ arp_ignore: 1, accept_local: 1, rp_filter: 0 }))
      set(`ipv4/conf/${name}/${key}`, value);
    for (const [key, value] of Object.entries({ accept_ra: 0, autoconf: 0 }))
      set(`ipv6/conf/${name}/${key}`, value);
    // Else the base interface answers ARP for the addresses too, with its own hardware address.
    this.#change(`ipv4/conf/${over}/arp_ignore`, 1);
    // And asks for others in the name of the virtual address, which teaches them the same.
    this.#change(`ipv4/conf/${over}/arp_announce`, 2);
    this.#snapshot = this.#interfaces.list();
  }

  removeVirtualInterface(name: string): void {
    const there = this.#interfaces.list().get(name);
    if (!there || !this.#made.delete(name)) return;
    this.#interfaces.removeLink(there.index);
  }

  promoteSecondaries(device: string): void {
    this.#change(`ipv4/conf/${device}/promote_secondaries`, 1);
  }

  /** Sets a kernel setting that is put back at the end. */
  #change(key: string, value: number): void {
    const path = `/proc/sys/net/${key}`;
    try {
      const former = readFileSync(path, "latin1").trim();
      if (former === String(value)) return;
      writeFileSync(path, `${value}\n`);
      if (!this.#changed.has(path)) this.#changed.set(path, former);
    } catch (error) {
      this.#callbacks.log(`cannot set ${key}: ${(error as Error).message}`);
    }
  }

  refusePackets(addresses: readonly string[]): void {
    try {
      this.#refusal.set(addresses);
    } catch (error) {
      this.#callbacks.log(`no_accept: cannot drop packets to virtual addresses: ${(error as Error).message}`);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#changeTimer);
    for (const [path, former] of this.#changed) {
      try {
        writeFileSync(path, `${former}\n`);
      } catch {
        // The interface is gone.
      }
    }
    this.#interfaces.close();
    this.#routing.close();
    this.#refusal.close();
    for (const { socket } of this.#receivers.values()) socket.close();
    for (const { sender } of this.#senders.values()) sender.close();
    for (const { socket } of this.#announcers.values()) socket.close();
  }
}

/** The last address of an IPv4 network. */
function broadcastOf(address: string, prefix: number): string | undefined {
  const { family, bytes } = parseAddress(address)!;
  if (family !== 4 || prefix > 30) return undefined;
  const host = 2 ** (32 - prefix) - 1;
  const all = (toWords(formatAddress(4, bytes))[0] | host) >>> 0;
  return formatAddress(4, Uint8Array.of(all >>> 24, all >>> 16, all >>> 8, all));
}

/** Whether this host forwards IPv6 packets that come from a device. */
function forwards(device: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${device}/forwarding`, "latin1").startsWith("1");
  } catch {
    return false;
  }
}

function set(key: string, value: number): void {
  try {
    writeFileSync(`/proc/sys/net/${key}`, `${value}\n`);
  } catch {
    // A kernel without IPv6, or an older one.
  }
}
