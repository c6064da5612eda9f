/**
 * Frames that answer for an address: ARP (RFC 826) and neighbour discovery (RFC 4861 §7.2).
 * @module
 */
import { formatAddress, parseAddress } from "../../wire/address.ts";
import * as arp from "../../wire/arp.ts";
import { pseudo6 } from "../../wire/checksum.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as ndp from "../../wire/ndp.ts";

const ICMPV6 = 58;
const NO_MAC = "00:00:00:00:00:00";
const ALL_NODES = "ff02::1";
const ALL_NODES_MAC = "33:33:00:00:00:01";

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);
const macText = (mac: Uint8Array): string => ethernet.macAt(view(mac), 0);

function arpFrame(message: arp.Arp, dst: string): Uint8Array {
  const frame = new Uint8Array(ethernet.HEADER_LEN + arp.LEN);
  const header = { dst, src: message.senderMac, tags: [], type: ethernet.TYPE.arp };
  arp.emit(message, view(frame), ethernet.emit(header, view(frame), 0));
  return frame;
}

/** The reply to a frame that asks by ARP who has `address`; undefined for any other frame. */
export function answerArp(frame: Uint8Array, mac: Uint8Array, address: Uint8Array): Uint8Array | undefined {
  const v = view(frame);
  const at = ethernet.payloadAt(v, 0, frame.length);
  if (at !== ethernet.HEADER_LEN || v.getUint16(at - 2) !== ethernet.TYPE.arp) return undefined;
  const question = arp.parse(v, at, frame.length);
  const senderIp = formatAddress(4, address);
  if (question?.operation !== arp.OPERATION.request || question.targetIp !== senderIp) return undefined;
  const { senderMac: targetMac, senderIp: targetIp } = question;
  const operation = arp.OPERATION.reply;
  return arpFrame({ operation, senderMac: macText(mac), senderIp, targetMac, targetIp }, targetMac);
}

/** The advertisement for a frame that solicits `address`; undefined for any other frame. */
export function answerSolicitation(
  frame: Uint8Array,
  mac: Uint8Array,
  address: Uint8Array,
): Uint8Array | undefined {
  const v = view(frame);
  const at = ethernet.payloadAt(v, 0, frame.length);
  if (at !== ethernet.HEADER_LEN || !ipv6.valid(v, at, frame.length)) return undefined;
  const icmp = at + ipv6.HEADER_LEN;
  // A solicitation has hop limit 255, which no router lets through (RFC 4861 §7.1.1), and no extension headers.
  if (frame[at + 6] !== ICMPV6 || frame[at + 7] !== ndp.HOP_LIMIT) return undefined;
  const question = ndp.parse(v, icmp, frame.length);
  if (question?.kind !== "neighborSolicitation") return undefined;
  if (question.target !== formatAddress(6, address)) return undefined;
  const source = formatAddress(6, frame, at + 8);
  // Somebody checks for a duplicate address: the answer goes to all (RFC 4861 §7.2.4).
  if (source === "::") return advertisement(mac, address, ALL_NODES, ALL_NODES_MAC, false);
  return advertisement(mac, address, source, ethernet.macAt(v, ethernet.AT.src), true);
}

function advertisement(
  mac: Uint8Array,
  address: Uint8Array,
  to: string,
  toMac: string,
  solicited: boolean,
): Uint8Array {
  const text = formatAddress(6, address);
  const src = macText(mac);
  const message: ndp.Ndp = {
    kind: "neighborAdvertisement",
    target: text,
    router: false,
    solicited,
    override: true,
    options: [{ kind: "targetLinkLayer", mac: src }],
  };
  const length = ndp.byteLength(message);
  const frame = new Uint8Array(ethernet.HEADER_LEN + ipv6.HEADER_LEN + length);
  const v = view(frame);
  const ip = ethernet.emit({ dst: toMac, src, tags: [], type: ethernet.TYPE.ipv6 }, v, 0);
  v.setUint32(ip, 0x60000000);
  v.setUint16(ip + 4, length);
  frame[ip + 6] = ICMPV6;
  frame[ip + 7] = ndp.HOP_LIMIT;
  frame.set(address, ip + 8);
  frame.set(parseAddress(to)!.bytes, ip + 24);
  ndp.emit(message, v, ip + ipv6.HEADER_LEN, pseudo6(v, ip, ICMPV6, length));
  return frame;
}

/** The frame that tells everybody, unasked, where `address` is. */
export function gratuitous(mac: Uint8Array, address: Uint8Array): Uint8Array {
  if (address.length === 16) return advertisement(mac, address, ALL_NODES, ALL_NODES_MAC, false);
  const ip = formatAddress(4, address);
  const message = { senderMac: macText(mac), senderIp: ip, targetMac: NO_MAC, targetIp: ip };
  return arpFrame({ operation: arp.OPERATION.request, ...message }, ethernet.BROADCAST);
}
