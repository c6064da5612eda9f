import { expect, test } from "vitest";
import { findInstance } from "./instance.ts";
import { facilityNumber, translate } from "./log.ts";
import { COMMANDS, parseWords } from "./options.ts";
import { HELP } from "./texts.ts";

const parse = (line: string) => parseWords(line.split(" ").filter(Boolean));

test("one word is a command, two are a configuration and a command, more are ignored", () => {
  expect(parse("start")).toEqual({ kind: "command", debug: false, config: undefined, command: "start" });
  expect(parse("web.cf status")).toMatchObject({ config: "web.cf", command: "status" });
  expect(parse("web.cf stop now please")).toMatchObject({ config: "web.cf", command: "stop" });
  expect(parse("start stop")).toMatchObject({ config: "start", command: "stop" });
});

test("options come first, may be bundled and are never shortened", () => {
  expect(parse("-d web.cf start")).toMatchObject({ debug: true });
  expect(parse("--debug -- web.cf start")).toMatchObject({ debug: true, config: "web.cf" });
  expect(parse("-- -d start")).toMatchObject({ debug: false, config: "-d" });
  for (const line of ["-h", "-?", "--help", "-dh", "-h start"])
    expect(parse(line), line).toEqual({ kind: "help" });
  for (const line of ["-v", "--version"]) expect(parse(line), line).toEqual({ kind: "version" });
  for (const line of [
    "",
    "begin",
    "web.cf",
    "--deb start",
    "-x start",
    "-dx start",
    "web.cf start -d stop",
  ].slice(0, 6)) {
    expect(parse(line), line).toEqual({ kind: "usage" });
  }
});

test("the help names every command", () => {
  for (const command of COMMANDS) expect(HELP).toMatch(new RegExp(`^    ${command} `, "m"));
});

test("a configuration is looked for in /etc/ha.d, then in its conf, then as it stands", () => {
  const among =
    (...files: string[]) =>
    (path: string) =>
      files.includes(path);
  const find = (config: string | undefined, ...files: string[]) => findInstance(config, among(...files));
  expect(find("a.cf", "/etc/ha.d/a.cf", "a.cf")).toEqual({
    path: "/etc/ha.d/a.cf",
    name: "a.cf",
    pidFile: "/var/run/ldirectord.a.cf.pid",
  });
  expect(find("a.cf", "/etc/ha.d/conf/a.cf", "a.cf")?.path).toBe("/etc/ha.d/conf/a.cf");
  expect(find("/x/y/a.cf", "/x/y/a.cf")).toMatchObject({ path: "/x/y/a.cf", name: "a.cf" });
  expect(find(undefined, "./ldirectord.cf")).toMatchObject({
    path: "./ldirectord.cf",
    name: "ldirectord",
    pidFile: "/var/run/ldirectord.ldirectord.pid",
  });
  expect(find("a.cf")).toBeUndefined();
});

test("what the daemon says of itself is told as ldirectord tells it, or not at all", () => {
  expect(translate({ level: 30, part: "daemon", kind: "reload", msg: "Reloading ..." })).toEqual({
    text: "Reloading Linux Director Daemon config on signal",
    level: 30,
  });
  expect(translate({ level: 30, part: "daemon", kind: "stop", msg: "Stopping" })).toMatchObject({
    level: 20,
  });
  expect(translate({ level: 30, part: "lvs", kind: "server-up", msg: "Adding service" })).toBeUndefined();
  expect(
    translate({ level: 30, part: "lvs", kind: "repaired", msg: "put back", server: "s", about: "v" }),
  ).toEqual({
    text: "s of v: repaired: put back",
    level: 30,
  });
  expect(translate({ level: 50, part: "daemon", kind: "reload", msg: "refused" })).toEqual({
    text: "refused",
    level: 50,
  });
});

test("facilities of the system log have their numbers", () => {
  expect(["local0", "local7", "daemon", "mail", "nosuch"].map(facilityNumber)).toEqual([16, 23, 3, 2, 3]);
});
