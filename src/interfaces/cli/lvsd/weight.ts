/**
 * `lvsd weight`: another weight for a real server, until it is taken back.
 * @module
 */
import { ask } from "../../daemon/control-client.ts";
import { print, type SocketOption, socketOf } from "./daemon-socket.ts";

/** Sets the weight. */
export async function weight(
  service: string,
  server: string,
  value: string,
  options: SocketOption,
): Promise<number> {
  if (!/^\d+$/.test(value) || Number(value) > 0x7fffffff)
    throw new Error(`"${value}" is no weight: 0 to 2147483647`);
  await ask(socketOf(options), "weight", service, server, Number(value));
  print(`${server} has weight ${value}, also after reloads; "lvsd undrain" takes it back`);
  return 0;
}
