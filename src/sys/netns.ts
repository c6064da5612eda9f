/**
 * Network namespaces. Entering one moves the calling thread, which for node is the thread that opens sockets and starts
 * children; threads of the pool (DNS look-ups) stay where they were.
 * @module
 */
import { statSync } from "node:fs";
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { check, close, raw } from "./libc.ts";
import { AF, getOption, openSocket, SO, SOCK, SOL_SOCKET } from "./socket.ts";

const CLONE_NEWNET = 0x40000000;
const O_RDONLY_CLOEXEC = 0o2000000;

/** Path of a namespace made by `ip netns add NAME`. */
export const namedNetns = (name: string): string => `/run/netns/${name}`;

/** A descriptor of the namespace that this thread is in. @throws SysError */
export const openNetns = (): number =>
  check("open", raw.open("/proc/thread-self/ns/net", O_RDONLY_CLOEXEC, 0), "this network namespace");

/** Moves this thread into the namespace at a path (`/run/netns/x`, `/proc/1/ns/net`). @throws SysError */
export function enterNetns(path: string): void {
  const fd = check("open", raw.open(path, O_RDONLY_CLOEXEC, 0), path);
  try {
    check("setns", raw.setns(fd, CLONE_NEWNET), `enter network namespace ${path}`);
  } finally {
    close(fd);
  }
}

/** Runs `body`, which must be synchronous, inside the namespace at `path` and comes back. @throws SysError */
export function inNetns<T>(path: string, body: () => T): T {
  const home = openNetns();
  try {
    enterNetns(path);
    try {
      return body();
    } finally {
      check("setns", raw.setns(home, CLONE_NEWNET), "return to the former network namespace");
    }
  } finally {
    close(home);
  }
}

/** Moves this thread into a new, empty namespace that lives as long as someone is in it. @throws SysError */
export function newNetns(): void {
  check("unshare", raw.unshare(CLONE_NEWNET), "make a network namespace");
}

/** Inode of the namespace this process is in; the kernel uses numbers again. */
export const netnsInode = (): number => statSync("/proc/self/ns/net").ino;

/** Cookie of the namespace this thread is in: unique as long as the machine is up (Linux 5.14). @throws SysError */
export function netnsCookie(): bigint {
  const fd = openSocket(AF.INET, SOCK.DGRAM, 0);
  try {
    const b = getOption(fd, SOL_SOCKET, SO.NETNS_COOKIE, 8);
    return new DataView(b.buffer).getBigUint64(0, LITTLE_ENDIAN);
  } finally {
    close(fd);
  }
}

/** Tells the namespace of this thread from every other one that there is or was since the machine is up; "" before Linux 5.14. */
export function netnsMark(): string {
  try {
    return String(netnsCookie());
  } catch {
    return "";
  }
}
