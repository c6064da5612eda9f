/**
 * What setting up a real server asks of the machine: commands, told to whoever listens, and facts.
 * @module
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";

/** Where files about this host's namespaces lie. */
export const runDirectory = (): string => process.env["LVSD_RUN_DIR"] || "/run/lvsd";

/** Is told each command before it runs. */
export type Tell = (command: string) => void;

/** A command of the machine that failed. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Runs a command and resolves with what it printed. @throws CommandError when it fails */
export function run(tell: Tell, command: string, ...args: readonly string[]): Promise<string> {
  const line = [command, ...args].join(" ");
  tell(line);
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new CommandError(`${line}: ${stderr.trim() || error.message}`));
    });
  });
}

/** Runs a command that may fail. @returns whether it succeeded */
export const attempt = (command: string, ...args: readonly string[]): Promise<boolean> =>
  run(() => {}, command, ...args).then(
    () => true,
    () => false,
  );

/** Whether this namespace has a network device of that name. */
export const hasDevice = (name: string): boolean => existsSync(`/sys/class/net/${name}`);

/** Whether the addresses of a device include one. */
export async function hasAddress(device: string, address: string): Promise<boolean> {
  if (!hasDevice(device)) return false;
  const listing = JSON.parse(await run(() => {}, "ip", "-j", "addr", "show", "dev", device)) as {
    addr_info?: { local?: string }[];
  }[];
  return listing.some((link) => link.addr_info?.some((info) => info.local === address));
}

/** `192.0.2.1/32`, `2001:db8::1/128`: the prefix with which a VIP is set. */
export const hostPrefix = (vip: string): string => `${vip}/${vip.includes(":") ? 128 : 32}`;
