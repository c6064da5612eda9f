/**
 * Virtual servers, their groups and real servers while they are read: before inheritance, defaults and the checks that need the
 * whole file.
 * @module
 */
import type { ForwardingMethod, Tunnel } from "../../../core/destination.ts";
import type { Protocol } from "../../../core/service.ts";
import type { ScriptSpec } from "../../wanted.ts";
import type { CheckerDraft, TimingDraft } from "./checker-draft.ts";
import type { Word } from "./text.ts";
import type { Address } from "./values.ts";

/** What lb_kind and lvs_method say. */
export interface Forwarding {
  readonly method: ForwardingMethod;
  readonly tunnel: Tunnel;
}

/** A real server while it is read. */
export interface RealServerDraft extends TimingDraft {
  readonly word: Word;
  readonly close?: Word | undefined;
  readonly address: Address;
  port: number;
  forwarding?: Forwarding;
  weight?: number;
  upper?: number;
  lower?: number;
  inhibitOnFailure?: boolean;
  notifyUp?: ScriptSpec;
  notifyDown?: ScriptSpec;
  smtpAlert?: boolean;
  virtualhost?: string;
  readonly checkers: CheckerDraft[];
}

/** What a virtual server answers to. */
export type Door =
  | { readonly kind: "address"; readonly address: Address; readonly port: number }
  | { readonly kind: "fwmark"; readonly fwmark: number }
  | { readonly kind: "group"; readonly group: Word };

/** A virtual server while it is read. */
export interface VirtualServerDraft extends TimingDraft {
  readonly word: Word;
  readonly door: Door;
  scheduler?: string;
  schedFlags: number;
  forwarding?: Forwarding;
  protocol?: Protocol;
  family?: 4 | 6;
  persistenceS?: number;
  /** Text of persistence_granularity. */
  granularity?: Word;
  engine?: string;
  onePacket?: boolean;
  inhibitOnFailure?: boolean;
  omega?: boolean;
  quorum?: number;
  hysteresis?: number;
  quorumUp?: ScriptSpec;
  quorumDown?: ScriptSpec;
  weight?: number;
  virtualhost?: string;
  haSuspend?: boolean;
  smtpAlert?: boolean;
  sorry?: { readonly word: Word; readonly address: Address; port: number };
  sorryInhibit?: boolean;
  sorryForwarding?: Forwarding;
  readonly servers: RealServerDraft[];
}

/** A member of a virtual_server_group. */
export type GroupEntry =
  | {
      readonly kind: "address";
      readonly word: Word;
      readonly addresses: readonly Address[];
      readonly port: number;
    }
  | { readonly kind: "fwmark"; readonly word: Word; readonly fwmark: number; readonly family?: 4 | 6 };

/** A virtual_server_group. */
export interface GroupDraft {
  readonly word: Word;
  readonly close?: Word | undefined;
  readonly entries: readonly GroupEntry[];
  readonly nameWord: Word;
}
