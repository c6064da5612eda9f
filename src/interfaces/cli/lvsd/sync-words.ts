/**
 * What connection sync daemons tell of themselves, in words.
 * @module
 */
import type { PeerStatus, SyncRates, SyncStatus } from "../../../planes/sync/status.ts";
import { age } from "./age.ts";

const BYTES_UNIT = 1000;

/** What the daemons did, a line each. With `awaits`, a peer that was never heard is told of. */
export function describeSync(sync: Partial<SyncStatus>, awaits = true): string[] {
  const { master, backup } = sync;
  const lines: string[] = [];
  if (master)
    lines.push(
      `sent ${master.entries} connections in ${master.messages} messages, ${rate(master.rates)}; ${master.failed} not sent; backups with the key: ${master.peers}`,
    );
  if (master?.unheard)
    lines.push(`told too much at once ${master.unheard} times; the table was looked through instead`);
  if (master?.failure) lines.push(`no backup can ask for the table: ${master.failure}`);
  if (backup)
    lines.push(
      `received ${backup.messages} messages, ${rate(backup.rates)}; ${backup.created} connections made, ${backup.updated} updated, ${backup.refused} messages refused${backup.ignored > 0 ? `, ${backup.ignored} connections ignored` : ""}`,
    );
  if (backup?.peer) lines.push(describePeer(backup.peer, backup.connections));
  else if (backup && awaits) lines.push("no peer heard");
  if (sync.interfaceFailure) lines.push(`${sync.interfaceFailure}: nothing is sent or heard there`);
  if (sync.key === false && (master || backup)) lines.push("no shared key: no table is asked for or given");
  if (sync.keyFailure) lines.push(`the key is not used: ${sync.keyFailure}`);
  return lines;
}

const rate = (r: SyncRates): string =>
  `${r.messagesPerS.toFixed(1)} messages/s, ${(r.bytesPerS / BYTES_UNIT).toFixed(1)} kB/s`;

function describePeer(peer: PeerStatus, here: number): string {
  const words = [`peer ${peer.address}: heard ${(peer.heardMs / 1000).toFixed(1)} s ago`];
  if (peer.tableMs !== undefined) words.push(`whole table ${age(peer.tableMs)} ago`);
  if (peer.connections !== undefined) {
    const difference = here - peer.connections;
    words.push(
      `${peer.connections} connections there, ${here} here (${difference > 0 ? "+" : ""}${difference})`,
    );
  }
  if (peer.lost !== undefined) words.push(`${peer.lost} messages lost`);
  if (peer.failure) words.push(`table not to be had: ${peer.failure}`);
  return words.join(", ");
}
