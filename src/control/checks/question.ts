/**
 * One datagram out, answers in: what the checks over UDP and ICMP have in common.
 * @module
 */
import { type DatagramKind, DatagramSocket } from "../../sys/datagram.ts";
import type { Attempt } from "./attempt.ts";
import type { CheckTarget } from "./check.ts";
import { failureOf } from "./connection.ts";

/** Opens a socket towards the target; it is closed when the attempt ends. @throws CheckFailure */
export function openDatagram(attempt: Attempt, kind: DatagramKind, target: CheckTarget): DatagramSocket {
  try {
    const socket = new DatagramSocket(kind, target.family, target);
    attempt.onEnd(() => socket.close());
    socket.connect(target.address, kind === "udp" ? target.port : 0);
    return socket;
  } catch (error) {
    throw failureOf(error);
  }
}

/** Sends `bytes` and gives the first datagram for which `accept` gives something. @throws CheckFailure, also what `accept` throws */
export function question<T>(
  socket: DatagramSocket,
  bytes: Uint8Array,
  accept: (answer: Uint8Array) => T | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    socket.onReadable(() => {
      try {
        for (;;) {
          const answer = socket.receive();
          if (!answer) return;
          const accepted = accept(answer);
          if (accepted !== undefined) return resolve(accepted);
        }
      } catch (error) {
        reject(failureOf(error));
      }
    });
    try {
      socket.send(bytes);
    } catch (error) {
      reject(failureOf(error));
    }
  });
}
