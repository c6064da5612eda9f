/**
 * `lvsd drain` and `lvsd undrain`: take a real server out of service without losing a connection, and bring it back.
 * @module
 */
import { meansServer, meansService } from "../../../control/health/names.ts";
import type { ConnectionCounts, ServerStatus } from "../../../control/supervision.ts";
import { ask } from "../../daemon/control-client.ts";
import type { DaemonStatus } from "../../daemon/protocol.ts";
import { print, type SocketOption, socketOf } from "./daemon-socket.ts";

/** How often progress is looked at. */
const LOOK_MS = 1000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The server that the words name. */
function find({ lvs }: DaemonStatus, service: string, server: string): ServerStatus | undefined {
  return lvs?.virtualServers
    .filter((status) => meansService(service, status))
    .flatMap(({ servers }) => servers)
    .find(({ name, id }) => meansServer(server, name, id));
}

const counts = ({ active, inactive, persistent }: ConnectionCounts): string =>
  `${active} active, ${inactive} inactive${persistent > 0 ? `, ${persistent} templates` : ""}`;

/** What commander hands over. */
interface DrainWords extends SocketOption {
  readonly wait?: true;
  readonly timeout: number;
}

/** Weight 0, then progress until no active connection is left; exit status 1 when the time was too short. */
export async function drain(service: string, server: string, options: DrainWords): Promise<number> {
  const socket = socketOf(options);
  await ask(socket, "drain", service, server);
  const giveUpAt = Date.now() + options.timeout * 1000;
  for (let last = ""; ; await sleep(LOOK_MS)) {
    const status = find(await ask<DaemonStatus>(socket, "status"), service, server);
    if (!status) {
      print(`${server} gets no new connections`);
      return 0;
    }
    const line = counts(status.connections);
    if (line !== last) print(`${status.name} gets no new connections; ${line}`);
    last = line;
    if (status.connections.active === 0) {
      print(`${status.name} is drained; "lvsd undrain" brings it back`);
      return 0;
    }
    if (!options.wait) return 0;
    if (Date.now() > giveUpAt) {
      print(`${status.name} still has connections after ${options.timeout} s; it stays drained`);
      return 1;
    }
  }
}

/** The weight as configured again. */
export async function undrain(service: string, server: string, options: SocketOption): Promise<number> {
  await ask(socketOf(options), "undrain", service, server);
  print(`${server} has its configured weight again`);
  return 0;
}
