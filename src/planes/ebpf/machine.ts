/**
 * What the rule table asks of the machine: nothing while rules are made again from the journal, the routing tables when a rule is new.
 * @module
 */
import type { AddressKind, Host, Words } from "../../core/host.ts";
import type { RealServer } from "../../core/server.ts";
import type { Family } from "../../core/service.ts";
import { ROUTE_TYPE, Routes } from "../../sys/route.ts";
import { ADDRESS_LEN, writeWords } from "../../wire/address.ts";
import { addressKind } from "../address-kind.ts";
import type { ServerRoute } from "./mirror.ts";

/** Pages that are told when nobody counts: defence by memory is not this plane's. */
const PLENTY = 0x7fffffff;

/** The network namespace of this thread, for rules. */
export class RulesHost implements Host {
  readonly routeEpoch = 1;
  readonly unprivilegedPortStart = 1024;
  /** Everything that was accepted before is accepted again. */
  replaying = false;
  #routes: Routes | undefined;

  get #open(): Routes {
    this.#routes ??= new Routes();
    return this.#routes;
  }

  route(): undefined {
    return undefined; // packets are not this program's affair
  }

  addressKind(family: Family, address: Words): AddressKind {
    return this.replaying ? "unicast" : addressKind(this.#open, family, address);
  }

  send(): void {}

  interfaceMtu(name: string): number | undefined {
    return this.replaying ? 1500 : this.#open.link(name)?.mtu;
  }

  availablePages(): number {
    return PLENTY;
  }

  /** The way to a real server; undefined when there is none. */
  routeTo(server: RealServer): ServerRoute | undefined {
    const bytes = new Uint8Array(16);
    writeWords(server.family, new DataView(bytes.buffer), 0, server.words);
    const answer = this.#open.lookup(bytes.subarray(0, ADDRESS_LEN[server.family]), 0);
    return answer && { source: answer.source, local: answer.type === ROUTE_TYPE.LOCAL };
  }

  close(): void {
    this.#routes?.close();
    this.#routes = undefined;
  }
}
