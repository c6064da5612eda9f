/**
 * A real server's end of the tunnels where the kernel has none: takes tunnel packets from raw sockets and gives the packet
 * inside to the kernel through a TUN device. Runs as a process of its own, `lvsd decapsulate JSON`, until it is told to end;
 * the device ends with it.
 * @module
 */
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { RawReceiver, UdpTunnelReceiver } from "../../sys/rawsocket.ts";
import { Tun } from "../../sys/tun.ts";
import { PROTOCOL } from "../../wire/ipv4.ts";
import { behindIpv4, finishChecksum, insideGre, insideGue, insideIpip } from "./decapsulate.ts";

/** One kind of tunnel packet that is listened for. */
export interface Listening {
  /** Family of the outer header. */
  readonly family: 4 | 6;
  /** 4 and 41 for IP in IP, 47 for GRE. */
  readonly protocol: number;
}

export interface DecapsulatorOptions {
  /** Name of the TUN device that is made. */
  readonly device: string;
  readonly listen: readonly Listening[];
  /** UDP port of GUE, 0 for none. */
  readonly guePort: number;
  /** File in which this process notes itself while it lives. */
  readonly note: string;
}

/** What the note says. */
export interface DecapsulatorNote {
  readonly pid: number;
  /** Inode of the process's namespace of process numbers; absent: an older version's note. */
  readonly pidns?: number;
  readonly device: string;
}

/** Longest IP packet. */
const MAX_PACKET = 65535;

/** Moves packets from a raw socket into the device while there are any. */
function pump(receiver: RawReceiver, { family, protocol }: Listening, tun: Tun): void {
  const bytes = new Uint8Array(new ArrayBuffer(MAX_PACKET));
  const v = new DataView(bytes.buffer);
  const inner = (at: number, end: number) => {
    if (at < 0) return -1;
    return protocol === PROTOCOL.gre ? insideGre(v, at, end) : insideIpip(protocol, v, at, end);
  };
  receiver.onReadable(() => {
    for (let length = receiver.read(bytes); length > 0; length = receiver.read(bytes)) {
      // A raw IPv6 socket leaves the outer header away, a raw IPv4 socket does not.
      const at = inner(family === 4 ? behindIpv4(v, 0, length) : 0, length);
      if (at < 0) continue;
      finishChecksum(v, at, length);
      tun.write(bytes.subarray(at, length));
    }
  });
}

/** Takes GUE datagrams; the kernel has checked their checksums. */
function listenGue(port: number, tun: Tun): void {
  const receiver = new UdpTunnelReceiver(port);
  const bytes = new Uint8Array(new ArrayBuffer(MAX_PACKET));
  const v = new DataView(bytes.buffer);
  receiver.onReadable(() => {
    for (let length = receiver.read(bytes); length > 0; length = receiver.read(bytes)) {
      const at = insideGue(v, 0, length);
      if (at < 0) continue;
      finishChecksum(v, at, length);
      tun.write(bytes.subarray(at, length));
    }
  });
}

function leaveNote({ note, device }: DecapsulatorOptions): void {
  const said: DecapsulatorNote = { pid: process.pid, pidns: statSync("/proc/self/ns/pid").ino, device };
  mkdirSync(dirname(note), { recursive: true, mode: 0o700 });
  writeFileSync(note, JSON.stringify(said));
  const end = () => {
    rmSync(note, { force: true });
    process.exit(0);
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

/** Makes the device and listens. @throws SysError when one of them is refused */
export function decapsulate(options: DecapsulatorOptions): void {
  const tun = new Tun(options.device);
  for (const kind of options.listen) pump(new RawReceiver(kind.family, kind.protocol), kind, tun);
  if (options.guePort !== 0) listenGue(options.guePort, tun);
  // What the kernel sends into the device (neighbour solicitations, strays) is read and dropped.
  const nowhere = new Uint8Array(new ArrayBuffer(MAX_PACKET));
  tun.onReadable(() => {
    while (tun.read(nowhere) > 0);
  });
  leaveNote(options);
}
