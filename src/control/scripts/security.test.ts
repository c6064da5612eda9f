import { describe, expect, test } from "vitest";
import { findProgram, insecurity, refusal, type ScriptFiles, scriptPolicy } from "./security.ts";

/** A file system of path → [owner, group, mode]. */
const disk = (entries: Record<string, readonly [number, number, number]>): ScriptFiles => ({
  realpath(path) {
    if (!(path in entries)) throw new Error("ENOENT");
    return path;
  },
  stat(path) {
    const [uid, gid, mode] = entries[path] ?? [0, 0, 0o040755];
    return { uid, gid, mode };
  },
  executable: (path) => path in entries,
});

describe("insecurity()", () => {
  test("lets pass what only root can change", () => {
    expect(insecurity("/opt/x", disk({ "/opt/x": [0, 0, 0o100775] }))).toBeUndefined();
  });

  test("names the file or directory that others can change", () => {
    expect(insecurity("/opt/x", disk({ "/opt/x": [0, 0, 0o100757] }))).toBe(
      "/opt/x is writable by everybody",
    );
    expect(insecurity("/opt/x", disk({ "/opt/x": [1000, 0, 0o100755] }))).toContain("belongs to user 1000");
    const inOpen = disk({ "/opt/x": [0, 0, 0o100755], "/opt": [0, 5, 0o040775] });
    expect(insecurity("/opt/x", inOpen)).toBe("/opt is writable by group 5");
  });

  test("trusts a sticky directory for a file that is root's", () => {
    const tmp = disk({ "/tmp/x": [0, 0, 0o100755], "/tmp": [0, 0, 0o041777] });
    expect(insecurity("/tmp/x", tmp)).toBeUndefined();
  });
});

describe("refusal()", () => {
  const open = disk({ "/opt/x": [0, 0, 0o100777] });
  test("is for scripts that run as root under enable_script_security", () => {
    expect(refusal({ enforce: true }, ["/opt/x"], undefined, open)).toContain("writable by everybody");
    expect(refusal({ enforce: true }, ["/opt/x"], "nobody", open)).toBeUndefined();
    expect(refusal({ enforce: true, user: "nobody" }, ["/opt/x"], "root", open)).toContain("writable");
    expect(refusal({ enforce: false }, ["/opt/x"], undefined, open)).toBeUndefined();
  });
});

test("findProgram() takes a path as it is and looks other words up in PATH", () => {
  const files = disk({ "/b/x": [0, 0, 0o100755] });
  expect(findProgram("x", "/a:/b", files)).toBe("/b/x");
  expect(findProgram("./x", "/a:/b", files)).toBe("./x");
  expect(findProgram("y", "/a:/b", files)).toBeUndefined();
});

test("scriptPolicy() takes keepalived's default user where it exists, and only for keepalived.conf", () => {
  const global = { scriptSecurity: false };
  expect(scriptPolicy({ language: "keepalived", global }, () => true)).toEqual({
    user: "keepalived_script",
    enforce: false,
  });
  expect(scriptPolicy({ language: "ldirectord", global }, () => true)).toEqual({ enforce: false });
  expect(scriptPolicy({ language: "keepalived", global }, () => false)).toEqual({ enforce: false });
});
