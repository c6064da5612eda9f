/**
 * The tables of the schedulers that hash, filled by core's own code and handed to the BPF programs as destination numbers.
 * @module
 */
import { SLOTS } from "../../core/schedulers/address-hash.ts";
import { fillMaglev, MH_SLOTS } from "../../core/schedulers/mh.ts";
import { fillSourceHash } from "../../core/schedulers/sh.ts";
import type { RealServer } from "../../core/server.ts";
import type { VirtualService } from "../../core/virtual.ts";
import { BpfMap, MAP_TYPE } from "../../sys/bpf/map.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { LIMIT } from "./layout.ts";
import type { Maps } from "./maps.ts";
import type { Rules } from "./rules.ts";

const BYTES = 2 * LIMIT.table;

/** The table of a service, as bytes; undefined for schedulers without one, and without destinations. */
export function hashTableOf(rules: Rules, service: VirtualService): Uint8Array | undefined {
  const { scheduler } = service.spec;
  if ((scheduler !== "sh" && scheduler !== "mh") || service.destinations.length === 0) return undefined;
  const slots = new Array<RealServer | undefined>(scheduler === "sh" ? SLOTS : MH_SLOTS).fill(undefined);
  (scheduler === "sh" ? fillSourceHash : fillMaglev)(slots, service.destinations);
  const table = new Uint8Array(BYTES);
  const v = new DataView(table.buffer);
  for (const [slot, server] of slots.entries())
    v.setUint16(2 * slot, server ? rules.destinationNumber(server) : 0, LITTLE_ENDIAN);
  return table;
}

/** Puts tables where the programs look for them. */
export class TableWriter {
  readonly #maps: Maps;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  /** Gives a service a table, a new one in one step, or takes its table away. */
  write(service: number, table: Uint8Array | undefined): void {
    const outer = this.#maps.map("tables");
    if (!table) {
      outer.delete(key(service));
      return;
    }
    const inner = BpfMap.create({
      type: MAP_TYPE.ARRAY,
      keySize: 4,
      valueSize: BYTES,
      maxEntries: 1,
      name: "table",
    });
    try {
      inner.updateIndex(0, table);
      outer.updateFd(service, inner.fd);
    } finally {
      inner.close();
    }
  }
}

function key(n: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n, LITTLE_ENDIAN);
  return bytes;
}
