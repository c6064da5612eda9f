import { describe, expect, it } from "vitest";
import { LITTLE_ENDIAN, NetlinkWriter, NLMSG } from "../wire/netlink.ts";
import { GenericNetlink, refusalText } from "./genl.ts";
import { SysError } from "./libc.ts";

/** The controller's own: GETFAMILY, and the attribute that is a family's name. */
const GETFAMILY = 3;
const FAMILY_NAME = 2;

describe("generic netlink", () => {
  it("a family is found by its name, asked, and lists what it has", () => {
    const controller = GenericNetlink.open("nlctrl", 2)!;
    try {
      const names: string[] = [];
      controller.dump(GETFAMILY, undefined, (a) => names.push(a.string(FAMILY_NAME) ?? ""));
      expect(names).toContain("nlctrl");
      let answer = "";
      controller.request(
        GETFAMILY,
        (w) => w.string(FAMILY_NAME, "nlctrl"),
        (a) => {
          answer = a.string(FAMILY_NAME) ?? "";
        },
      );
      expect(answer).toBe("nlctrl");
    } finally {
      controller.close();
    }
  });

  it("a family that the kernel does not have is undefined", () => {
    expect(GenericNetlink.open("LVSD_NO_SUCH", 1)).toBeUndefined();
  });

  it("a refusal has its errno's name, and the socket goes on", () => {
    const controller = GenericNetlink.open("nlctrl", 2)!;
    try {
      const ask = (name: string) => controller.request(GETFAMILY, (w) => w.string(FAMILY_NAME, name));
      let refused: unknown;
      try {
        ask("LVSD_NO_SUCH");
      } catch (error) {
        refused = error;
      }
      expect(refused).toBeInstanceOf(SysError);
      expect((refused as SysError).code).toBe("ENOENT");
      ask("nlctrl");
    } finally {
      controller.close();
    }
  });

  it("the kernel's words are read from an extended answer only", () => {
    const w = new NetlinkWriter();
    w.raw(new Uint8Array(20)).string(1, "Unknown scheduler");
    const message = { type: NLMSG.ERROR, flags: 0x200, seq: 1, body: w.bytes.slice() };
    new DataView(message.body.buffer).setInt32(0, -2, LITTLE_ENDIAN);
    expect(refusalText(message)).toBe("Unknown scheduler");
    expect(refusalText({ ...message, flags: 0 })).toBe("");
  });
});
