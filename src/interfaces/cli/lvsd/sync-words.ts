/**
 * What connection sync daemons tell of themselves, in words.
 * @module
 */
import type { PeerStatus, SyncStatus } from "../../../planes/sync/status.ts";
import { duration } from "./duration.ts";

/** What the daemons did, a line each. */
export function describeSync({ master, backup, keyFailure }: SyncStatus): string[] {
  const lines: string[] = [];
  if (master)
    lines.push(
      `sync master: ${master.entries} connections in ${master.messages} messages of ${master.bytes} bytes, ${master.failed} not sent, ${master.peers} backups with the key`,
    );
  if (master?.unheard)
    lines.push(
      `sync master: told too much at once ${master.unheard} times; the table was looked through instead`,
    );
  if (backup)
    lines.push(
      `sync backup: ${backup.messages} messages, ${backup.created} connections made, ${backup.updated} updated, ${backup.ignored} entries and ${backup.refused} messages refused`,
    );
  if (backup?.peer) lines.push(describePeer(backup.peer, backup.connections));
  if (keyFailure) lines.push(`sync key not used: ${keyFailure}`);
  return lines;
}

function describePeer(peer: PeerStatus, connections: number): string {
  const words = [`sync peer ${peer.address}: heard ${duration(peer.heardMs)} ago`];
  if (peer.tableMs !== undefined) words.push(`whole table ${duration(peer.tableMs)} ago`);
  if (peer.connections !== undefined)
    words.push(`${peer.connections} connections there, ${connections} here`);
  if (peer.lost !== undefined) words.push(`${peer.lost} messages lost`);
  if (peer.failure) words.push(`table not to be had: ${peer.failure}`);
  return words.join(", ");
}
