/**
 * Generated virtual server tables as rules for `ipvsadm -R`: IPv4 and IPv6, marks, persistence with masks, schedulers and their
 * flags, thresholds, tunnels, servers of the other family.
 * @module
 */
import fc from "fast-check";
import { fullMask } from "../../src/core/service.ts";
import { format4 } from "../../src/wire/address.ts";

const octet = fc.integer({ min: 1, max: 254 });
const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16));
const port = fc.integer({ min: 1, max: 65535 });

/** Unicast, spread over the whole range so that listings meet the signed comparison of addresses. */
const address4 = fc
  .tuple(fc.constantFrom(1, 10, 100, 126, 128, 172, 192, 203, 223), octet, octet, octet)
  .map((parts) => parts.join("."));
/** As the C library writes it, for the sake of readers. */
const address6 = fc
  .tuple(fc.constantFrom("2001:db8", "fd00:1", "2a02:1"), group, group, octet)
  .map(([net, a, b, host]) => `[${net}:${a}:${b}::${host.toString(16)}]`);

const schedulers = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"];
const flagLists = (scheduler: string) => {
  const own = ["sh", "mh"].includes(scheduler) ? [`${scheduler}-fallback`, `${scheduler}-port`] : [];
  return fc.subarray(["flag-1", "flag-2", "flag-3", ...own], { minLength: 1 });
};

const masks = (family: 4 | 6) =>
  family === 4
    ? fc.integer({ min: 1, max: 32 }).map((bits) => format4(fullMask(4) << (32 - bits)))
    : fc.integer({ min: 1, max: 128 }).map(String);

/** A service's identity: its option and words that must go along. */
interface Identity {
  readonly family: 4 | 6;
  readonly words: string;
  readonly udp: boolean;
  readonly port: number;
}

const identity: fc.Arbitrary<Identity> = fc.oneof(
  { weight: 4, arbitrary: identityByAddress() },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 0xffffffff }), fc.constantFrom<4 | 6>(4, 6))
      .map(([mark, family]) => ({
        family,
        words: `-f ${mark}${family === 6 ? " -6" : ""}`,
        udp: false,
        port: 0,
      })),
  },
);

function identityByAddress(): fc.Arbitrary<Identity> {
  return fc
    .tuple(fc.constantFrom("-t", "-u", "--sctp-service"), fc.constantFrom<4 | 6>(4, 6), port)
    .chain(([option, family, number]) =>
      (family === 4 ? address4 : address6).map((address) => ({
        family,
        words: `${option} ${address}:${number}`,
        udp: option === "-u",
        port: number,
      })),
    );
}

const tunnel = fc.oneof(
  fc.constant(""),
  fc.constant(" --tun-type ipip"),
  fc.constantFrom(" --tun-type gre", " --tun-type gre --tun-nocsum", " --tun-type gre --tun-csum"),
  fc
    .tuple(port, fc.constantFrom("", " --tun-nocsum", " --tun-csum", " --tun-remcsum"))
    .map(([n, checksum]) => ` --tun-type gue --tun-port ${n}${checksum}`),
);

const server = ({ family, words, port: own }: Identity): fc.Arbitrary<string> => {
  const weight = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 65535 }));
  const limits = fc.oneof(
    fc.constant(""),
    fc
      .tuple(fc.integer({ min: 1, max: 100000 }), fc.integer({ min: 0, max: 110000 }))
      .map(([upper, lower]) => ` -x ${upper} -y ${lower}`),
  );
  const near = family === 4 ? address4 : address6;
  const far = family === 4 ? address6 : address4;
  const where = fc.oneof(
    fc.tuple(near, port).map(([address, n]) => `${address}:${n} -m`),
    near.map((address) => `${address}:${own} -g`),
    fc.tuple(near, tunnel).map(([address, how]) => `${address}:${own} -i${how}`),
    fc.tuple(far, tunnel).map(([address, how]) => `${address}:${own} -i${how}`),
  );
  return fc
    .tuple(where, weight, limits)
    .map(([target, w, limit]) => `-a ${words} -r ${target} -w ${w}${limit}`);
};

const service: fc.Arbitrary<string> = fc
  .tuple(identity, fc.constantFrom(...schedulers, "none"))
  .chain(([id, scheduler]) => {
    const persistence = fc.option(
      fc.tuple(
        fc.integer({ min: 1, max: 2678400 }),
        fc.option(masks(id.family), { nil: "" }),
        fc.boolean().map((sip) => sip && id.udp),
      ),
      { nil: undefined },
    );
    const flags = fc.option(flagLists(scheduler), { nil: [] as string[] });
    return fc
      .tuple(persistence, flags, fc.boolean(), fc.array(server(id), { maxLength: 6 }))
      .map(([persistent, flag, onePacket, servers]) => {
        let line = `-A ${id.words} -s ${scheduler}`;
        if (persistent) {
          const [seconds, mask, sip] = persistent;
          line += ` -p ${seconds}${mask && ` -M ${mask}`}${sip ? " --pe sip" : ""}`;
        }
        if (flag.length > 0) line += ` -b ${flag.join(",")}`;
        if (onePacket && id.udp) line += " -o";
        return [line, ...servers].join("\n");
      });
  });

const table = fc.array(service, { minLength: 1, maxLength: 6 }).map((list) => `${list.join("\n")}\n`);

/** Tables, the same ones for the same seed. */
export const tables = (count: number, seed: number): string[] => fc.sample(table, { numRuns: count, seed });
