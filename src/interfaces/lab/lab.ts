/**
 * What a lab is: hosts, the networks between them, and the steps of a tutorial, as data.
 * @module
 */

/** A network interface of a host. */
export interface Nic {
  readonly device: string;
  /** Name of the network that the cable leads to. */
  readonly network: string;
  /** In CIDR notation. The lab's wiring sets them, as an installer would; the VIP is set by the tutorial's steps. */
  readonly addresses: readonly string[];
}

/** What a host listens on; every answer tells the host's name, its address and the client it saw. */
export interface Serving {
  /** The address that the answers name, the RIP. */
  readonly address: string;
  readonly http?: number;
  /** TLS with a certificate made for the lab. */
  readonly https?: number;
  readonly udp?: number;
  /** Words behind the answer. */
  readonly says?: string;
}

/** A machine of the lab: a network namespace. */
export interface LabHost {
  readonly name: string;
  readonly nics: readonly Nic[];
  readonly serves?: Serving;
  /** Written beside the host in the drawing: "VIP 192.168.1.100", "VIP on lo". */
  readonly note?: string;
}

/** A network. Two hosts share a cable (a veth pair), more have a switch (a bridge in a namespace of its own). */
export interface LabNetwork {
  readonly name: string;
  readonly cidr: string;
}

/** A request of a client. */
export type Ask =
  | { readonly kind: "http"; readonly url: string }
  | { readonly kind: "udp"; readonly address: string; readonly port: number; readonly sourcePort?: number };

/** One step of the tutorial. */
export type Step =
  /** A heading and, under it, what happens and why. */
  | { readonly kind: "title"; readonly title: string; readonly about?: string }
  /** A command on a host, printed and run by a shell; what it prints is shown. */
  | { readonly kind: "run"; readonly on: string; readonly command: string }
  /** A file that is made in the folder where the lab's commands run, and shown. */
  | { readonly kind: "file"; readonly on: string; readonly name: string; readonly text: string }
  /** A program that stays, such as a daemon; what it prints goes to a file beside. */
  | { readonly kind: "daemon"; readonly on: string; readonly command: string; readonly output: string }
  /** The host's servers end, or start again. */
  | { readonly kind: "serving"; readonly on: string; readonly up: boolean }
  /** A command is run again and again until what it prints is as `holds` wants it, and shown then. */
  | {
      readonly kind: "until";
      readonly on: string;
      readonly command: string;
      readonly holds: (output: string) => boolean;
    }
  /** Requests one after another; who answered is shown and counted. */
  | {
      readonly kind: "ask";
      readonly on: string;
      readonly ask: Ask;
      readonly times: number;
      /** Only the count is shown. */
      readonly brief?: true;
    };

/** A tutorial as a living network. */
export interface Lab {
  readonly name: string;
  readonly title: string;
  /** Some sentences of what one sees here. */
  readonly about: string;
  readonly networks: readonly LabNetwork[];
  readonly hosts: readonly LabHost[];
  readonly steps: readonly Step[];
  /** The request that `--trace` follows through every interface. */
  readonly traced: { readonly on: string; readonly ask: Ask };
  /** Devices beyond the NICs that appear during the steps and are traced too, such as a tunnel's end. */
  readonly alsoTraced?: readonly { readonly on: string; readonly device: string }[];
}

export const title = (title: string, about?: string): Step =>
  about === undefined ? { kind: "title", title } : { kind: "title", title, about };
export const run = (on: string, ...commands: readonly string[]): Step[] =>
  commands.map((command) => ({ kind: "run", on, command }));
export const http = (url: string): Ask => ({ kind: "http", url });
export const ask = (on: string, ask: Ask, times: number): Step => ({ kind: "ask", on, ask, times });
