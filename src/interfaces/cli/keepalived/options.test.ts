import { describe, expect, test } from "vitest";
import { HELP } from "./help.ts";
import { readOptions } from "./options.ts";

describe("readOptions()", () => {
  test("takes short options together and values joined or apart", () => {
    expect(readOptions(["-nlDD", "-f/etc/x.conf", "-S", "3"])).toMatchObject({
      foreground: true,
      console: true,
      detail: 2,
      file: "/etc/x.conf",
      facility: 19,
    });
    expect(readOptions(["-nDf", "/x"])).toMatchObject({ foreground: true, detail: 1, file: "/x" });
  });

  test("takes long options shortened, with the value after = or apart", () => {
    expect(readOptions(["--use-f=/x", "--pid", "/p", "--dont-release-i"])).toMatchObject({
      file: "/x",
      pid: "/p",
      keepTable: true,
    });
  });

  test("an optional value is joined or not there", () => {
    expect(readOptions(["-t", "word"])).toMatchObject({ test: true, stray: ["word"] });
    expect(readOptions(["--config-test=/log"])).toMatchObject({ test: true, testLog: "/log" });
    expect(readOptions(["-t/log"])).toMatchObject({ testLog: "/log" });
  });

  test("the last of -X and -V counts", () => {
    expect(readOptions(["-V"]).keepAddresses).toBe(true);
    expect(readOptions(["-VX"]).keepAddresses).toBe(false);
  });

  test("a facility is a digit or a name, not a level", () => {
    expect(readOptions(["-S", "user"]).facility).toBe(1);
    expect(readOptions(["-S", "local7"]).facility).toBe(23);
    expect(() => readOptions(["-S", "9"])).toThrow("Invalid log facility '9'");
  });

  test.each([
    [["-Q"], "Unknown option -Q"],
    [["-nQ"], "Unknown option -Q"],
    [["--foo"], "Unknown option --foo"],
    [["-f"], "Missing parameter for option -f"],
    [["--vrrp_pid"], "Missing parameter for option --vrrp_pid"],
    [["-g"], "-g requires configure option --enable-log-file"],
  ])("%j is refused in keepalived's words", (words, message) => {
    expect(() => readOptions(words)).toThrow(message);
  });

  test("the help names every option that is read", () => {
    for (const [, long] of HELP.matchAll(/--([a-z_-]+)/g))
      if (long !== "genhash") expect(() => readOptions([`--${long}=x`]), long).not.toThrow(/Missing/);
  });
});
