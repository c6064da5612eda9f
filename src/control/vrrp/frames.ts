/**
 * The frames by which a master tells hosts and switches where its addresses are now: gratuitous ARP, unsolicited neighbour advertisement.
 * @module
 */
import { formatAddress, parseAddress } from "../../wire/address.ts";
import * as arp from "../../wire/arp.ts";
import { pseudo6 } from "../../wire/checksum.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as ndp from "../../wire/ndp.ts";

const ICMPV6 = 58;
const ALL_NODES = parseAddress("ff02::1")!.bytes;
const ALL_NODES_MAC = "33:33:00:00:00:01";

/**
 * The frame that announces `address` at `mac` (6 bytes). `router`: this host forwards IPv6 (said in neighbour advertisements).
 * compat: keepalived sends an ARP request whose target hardware address is broadcast, too; receivers ignore it.
 */
export function announcement(address: string, mac: Uint8Array, router: boolean): Uint8Array {
  const { family, bytes: ip } = parseAddress(address)!;
  const src = ethernet.macAt(new DataView(mac.buffer, mac.byteOffset, 6), 0);
  if (family === 4) {
    const frame = new Uint8Array(ethernet.HEADER_LEN + arp.LEN);
    const v = new DataView(frame.buffer);
    const at = ethernet.emit({ dst: ethernet.BROADCAST, src, tags: [], type: ethernet.TYPE.arp }, v, 0);
    const both = formatAddress(4, ip);
    const message = { operation: arp.OPERATION.request, senderMac: src, senderIp: both };
    arp.emit({ ...message, targetMac: ethernet.BROADCAST, targetIp: both }, v, at);
    return frame;
  }
  const message: ndp.Ndp = {
    kind: "neighborAdvertisement",
    target: formatAddress(6, ip),
    router,
    solicited: false,
    override: true,
    options: [{ kind: "targetLinkLayer", mac: src }],
  };
  const length = ndp.byteLength(message);
  const frame = new Uint8Array(ethernet.HEADER_LEN + ipv6.HEADER_LEN + length);
  const v = new DataView(frame.buffer);
  const at = ethernet.emit({ dst: ALL_NODES_MAC, src, tags: [], type: ethernet.TYPE.ipv6 }, v, 0);
  v.setUint32(at, 0x60000000);
  v.setUint16(at + ipv6.AT.length, length);
  frame[at + ipv6.AT.nextHeader] = ICMPV6;
  frame[at + ipv6.AT.hopLimit] = ndp.HOP_LIMIT;
  frame.set(ip, at + ipv6.AT.src);
  frame.set(ALL_NODES, at + ipv6.AT.dst);
  ndp.emit(message, v, at + ipv6.HEADER_LEN, pseudo6(v, at, ICMPV6, length));
  return frame;
}
