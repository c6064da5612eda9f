/**
 * Which daemon a command talks to, and what it says when there is none.
 * @module
 */
import { daemonPaths } from "../../daemon/paths.ts";

/** What commander hands over for every command that talks to a daemon. */
export interface SocketOption {
  readonly control?: string;
}

/** Path of the control socket. */
export const socketOf = (options: SocketOption): string => options.control ?? daemonPaths().socket;

/** Prints a line. */
export const print = (line = ""): void => void process.stdout.write(`${line}\n`);

/** Prints a line to standard error. */
export const complain = (line: string): void => void process.stderr.write(`${line}\n`);
