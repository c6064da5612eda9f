/**
 * The index of real servers by address: whose packets a reply or an ICMP error without a connection may be. Of several destinations
 * with one key the newest counts, as in core's table.
 * @module
 */
import { METHOD_NUMBER } from "../../core/destination.ts";
import { type RealServer, TUNNEL_NUMBER } from "../../core/server.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { putAddress } from "./encode.ts";
import { SERVICE_KEY } from "./layout.ts";
import type { Maps } from "./maps.ts";
import type { Rules } from "./rules.ts";

const TUNNEL_FAMILY = 0x40;
/** Outer protocols: IPIP (4, also with IPv6 outside), UDP, GRE. */
const OUTER = { [TUNNEL_NUMBER.ipip]: 4, [TUNNEL_NUMBER.gue]: 17, [TUNNEL_NUMBER.gre]: 47 } as const;

/** The key of a live destination; undefined for methods whose packets are not looked for. */
export function serverKey(server: RealServer): Uint8Array | undefined {
  if (!server.available) return undefined;
  const tunnel = server.method === METHOD_NUMBER.tun;
  if (!tunnel && server.method !== METHOD_NUMBER.nat) return undefined;
  const key = new Uint8Array(SERVICE_KEY.size);
  const v = new DataView(key.buffer);
  putAddress(key, SERVICE_KEY.at.address, server.spec.address);
  v.setUint16(SERVICE_KEY.at.port, tunnel ? server.spec.tunnel.port : server.port);
  const { service } = server;
  key[SERVICE_KEY.at.protocol] = tunnel
    ? OUTER[server.tunnel as keyof typeof OUTER]
    : service.fwmark !== 0
      ? 0
      : service.protocol;
  key[SERVICE_KEY.at.family] = server.family | (tunnel ? TUNNEL_FAMILY : 0);
  return key;
}

const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");

/** Keeps the map `servers`. */
export class ServerIndex {
  readonly #maps: Maps;
  readonly #rules: Rules;
  /** Key that each destination number was last written under. */
  #keys: Map<number, string> | undefined;
  /** The other way round. */
  readonly #holders = new Map<string, number>();

  constructor(maps: Maps, rules: Rules) {
    this.#maps = maps;
    this.#rules = rules;
  }

  get #known(): Map<number, string> {
    if (this.#keys) return this.#keys;
    this.#keys = new Map();
    for (const { count, keys, values } of this.#maps.map("servers").batches()) {
      const v = new DataView(values.buffer);
      for (let i = 0; i < count; i++) {
        const key = keys.subarray(i * SERVICE_KEY.size, (i + 1) * SERVICE_KEY.size);
        this.#keys.set(v.getUint32(4 * i, LITTLE_ENDIAN), hex(key));
        this.#holders.set(hex(key), v.getUint32(4 * i, LITTLE_ENDIAN));
      }
    }
    return this.#keys;
  }

  /** A destination was added, edited or removed. */
  update(server: RealServer): void {
    const number = this.#rules.destinationNumber(server);
    const old = this.#known.get(number);
    const key = serverKey(server);
    if (old !== undefined && (!key || hex(key) !== old)) this.#settle(server, old);
    if (key) this.#settle(server, hex(key));
  }

  /** Writes under a key the newest destination that has it; all with one key have one address. */
  #settle(like: RealServer, key: string): void {
    const map = this.#maps.map("servers");
    const newest = this.#rules.table.serverAt(like.family, like.words, (d) => {
      const own = serverKey(d);
      return own !== undefined && hex(own) === key;
    });
    const former = this.#holders.get(key);
    if (former !== undefined) this.#known.delete(former);
    this.#holders.delete(key);
    if (!newest) {
      map.delete(Buffer.from(key, "hex"));
      return;
    }
    const number = this.#rules.destinationNumber(newest);
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, number, LITTLE_ENDIAN);
    map.update(Buffer.from(key, "hex"), value);
    this.#known.set(number, key);
    this.#holders.set(key, number);
  }

  /** Removes keys of destinations that are no more. */
  prune(): void {
    const live = new Set<string>();
    for (const [server] of this.#rules.destinations()) {
      const key = serverKey(server);
      if (key) live.add(hex(key));
    }
    for (const [number, key] of this.#known) {
      if (live.has(key)) continue;
      this.#maps.map("servers").delete(Buffer.from(key, "hex"));
      this.#known.delete(number);
      this.#holders.delete(key);
    }
  }
}
