/**
 * Lines of virtual_ipaddress, virtual_ipaddress_excluded and static_ipaddress.
 * @module
 */
import type { Reader } from "./reader.ts";
import { placeOf, type Word } from "./text.ts";
import type { Statement } from "./tree.ts";
import { addressOf, int } from "./values.ts";
import type { AddressDraft } from "./vrrp-draft.ts";

const LABEL_MAX = 15;
/** rtnetlink's scopes (`/etc/iproute2/rt_scopes`). */
const SCOPES: Readonly<Record<string, number>> = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 };
/** Words without a value that ip-address(8) has too. */
const FLAGS: Readonly<Record<string, string>> = {
  home: "home",
  "-nodad": "nodad",
  mngtmpaddr: "mngtmpaddr",
  noprefixroute: "noprefixroute",
  autojoin: "autojoin",
};
const TAKE_VALUE = ["dev", "brd", "broadcast", "scope", "label", "peer", "preferred_lft", "track_group"];

/** One line; undefined, with a message, when it gives no address. */
export function readAddress(
  item: Statement,
  kind: "virtual" | "static",
  reader: Reader,
): AddressDraft | undefined {
  const [word, ...options] = item.words;
  const [text, length, more] = word.text.split("/");
  const found = addressOf(text);
  if (found === undefined || more !== undefined) {
    reader.error("bad-address", word, `"${word.text}" is no address; the line is left out`, {
      remedy: "write IP/LENGTH, then options like: dev eth0",
      own: `VRRP parsed invalid IP ${word.text}. skipping IP...`,
    });
    return undefined;
  }
  const { family, address } = found;
  const bits = family === 4 ? 32 : 128;
  const lengthWord = { ...word, text: length ?? "" };
  const prefix =
    length === undefined
      ? bits
      : (int(
          lengthWord,
          0,
          bits,
          reader,
          `Invalid address prefix len ${length} for address ${word.text} - using ${bits}`,
        ) ?? bits);
  const draft: { -readonly [K in keyof AddressDraft]: AddressDraft[K] } = {
    word,
    family,
    address,
    prefix,
    scope: 0,
    flags: [],
    noTrack: false,
  };
  const flags: string[] = [];
  let usable = true;
  for (let i = 0; i < options.length; i++) {
    const option = options[i];
    if (Object.hasOwn(FLAGS, option.text)) flags.push(FLAGS[option.text]);
    else if (option.text === "use_vmac") draft.useVmac = true;
    else if (option.text === "no_track" && kind === "virtual") draft.noTrack = true;
    else if (TAKE_VALUE.includes(option.text)) {
      const value = options[++i];
      if (value === undefined) {
        reader.error("missing-parameter", option, `${option.text} needs a word after it`, {
          own: `No ${option.text} parameter specified for ${address}`,
        });
      } else usable = readOption(option, value, draft, reader) && usable;
    } else {
      const second = addressOf(option.text.split("/")[0]) !== undefined;
      reader.warn(
        "unknown-address-option",
        option,
        `"${option.text}" is no option of an address; it is ignored`,
        {
          remedy: second
            ? "write one address a line"
            : "options: dev brd scope label peer preferred_lft no_track",
          own: "Unknown configuration entry '%s' for ip address - ignoring",
        },
      );
    }
  }
  return usable ? { ...draft, flags } : undefined;
}

type Writable = { -readonly [K in keyof AddressDraft]: AddressDraft[K] };

/** One option with its value. @returns false when the address cannot be used because of it */
function readOption(option: Word, value: Word, draft: Writable, reader: Reader): boolean {
  const { text } = value;
  const skip = (message: string, own: string) => {
    reader.error("bad-value", value, `${message}; the line is left out`, { own });
    return false;
  };
  switch (option.text) {
    case "dev":
      if (draft.device !== undefined) {
        reader.warn("duplicate-setting", option, "dev stands here twice; the first one is used", {
          own: `Cannot specify ipaddress device more than once for ${draft.address}`,
        });
        return true;
      }
      draft.device = text;
      if (reader.interfaces && !reader.interfaces.has(text)) {
        reader.error("no-such-interface", value, `interface ${text} does not exist here`, {
          own: `WARNING - interface %s for ip address ${draft.address} doesn't exist`,
        });
      }
      return true;
    case "brd":
    case "broadcast": {
      if (text === "-") return true;
      if (text === "+") {
        if (draft.family === 4 && draft.prefix <= 30) draft.broadcast = "+";
        else {
          reader.warn("bad-value", value, `a /${draft.prefix} has no broadcast address`, {
            own: `Address prefix length ${draft.prefix} too long for broadcast`,
          });
        }
        return true;
      }
      const found = addressOf(text);
      if (found?.family !== 4) {
        return skip(
          `broadcast "${text}" is no IPv4 address`,
          "VRRP is trying to assign invalid broadcast %s. skipping VIP...",
        );
      }
      if (draft.family === 6) {
        return skip(
          "IPv6 has no broadcast",
          `VRRP is trying to assign a broadcast %s to the IPv6 address ${draft.address} !!?? WTF... skipping VIP...`,
        );
      }
      draft.broadcast = found.address;
      return true;
    }
    case "scope": {
      const scope = Object.hasOwn(SCOPES, text)
        ? SCOPES[text]
        : /^\d+$/.test(text)
          ? Number(text)
          : undefined;
      if (draft.family === 6) {
        reader.warn("bad-value", option, "IPv6 addresses have the scope they have; it is ignored", {
          own: `Cannot specify scope for IPv6 addresses (${draft.address}) - ignoring scope`,
        });
      } else if (scope === undefined || scope > 255) {
        reader.error("bad-value", value, `"${text}" is no scope`, {
          remedy: "global, site, link, host, nowhere, or 0..255",
          own: `Invalid scope '%s' specified for ${draft.word.text} - ignoring`,
        });
      } else draft.scope = scope;
      return true;
    }
    case "label":
      if (text.length > LABEL_MAX) {
        return skip(
          `label "${text}" is longer than ${LABEL_MAX} characters`,
          `Address label %s is longer than maximum length ${LABEL_MAX} - removing address`,
        );
      }
      if (draft.family === 6) {
        reader.warn("bad-value", option, "IPv6 addresses have no labels; it is ignored", {
          own: `Cannot specify label for IPv6 addresses (${draft.address}) - ignoring label`,
        });
      } else draft.label = text;
      return true;
    case "peer": {
      const found = addressOf(text.split("/")[0]);
      if (found?.family !== draft.family) {
        return skip(
          found ? "the peer is of the other address family" : `peer "${text}" is no address`,
          found ? "Peer address %s does not match address family" : "Invalid peer address %s",
        );
      }
      draft.peer = found.address;
      return true;
    }
    case "preferred_lft": {
      const seconds =
        text === "forever" ? 4294967295 : int(value, 0, 4294967295, reader, "preferred_lft %s is invalid");
      if (seconds !== undefined) draft.preferredLifetimeS = seconds;
      return true;
    }
    default:
      reader.notice("no-effect", option, "track_group has no effect: a static address is set once, at start");
      return true;
  }
}

/** Where an address stands. */
export const addressPlace = (draft: AddressDraft) => placeOf(draft.word);
