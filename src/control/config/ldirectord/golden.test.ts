/**
 * What the original makes of files: samples with all their settings, and single lines with its verdict on them (exit status 3 of
 * `status` stands for a file that it accepts).
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { FileAccess } from "../files.ts";
import { portToCheck, receiveOf, requestOf } from "./checks.ts";
import { type Facts, readLdirectord, type VirtualSettings } from "./index.ts";
import { DEFAULT_LOG, serverName } from "./wanted.ts";

const folder = join(import.meta.dirname, "../../../../test/golden/ldirectord");

const HOSTS: Readonly<Record<string, string>> = {
  "4 localhost": "127.0.0.1",
  "6 localhost": "::1",
  "4 1.2.3": "1.2.0.3",
};
const PORTS: Readonly<Record<string, number>> = { http: 80, domain: 53 };

const memory = (path: string, text: string): FileAccess => ({
  read: (asked) => (asked === path ? text : undefined),
  list: () => [],
  kind: (asked) => (asked === "/run" ? "directory" : undefined),
});

const facts = (path: string, text: string): Partial<Facts> => ({
  files: memory(path, text),
  names: {
    address: (name, family) => HOSTS[`${family} ${name}`],
    port: (name) => PORTS[name],
  },
  appendRefusal: (asked) => (asked.startsWith("/nonexist") ? "No such file or directory" : undefined),
  hostName: "director.test",
  userName: "root",
});

const read = (text: string, path = "/etc/ha.d/ldirectord.cf") => readLdirectord(path, facts(path, text));
const yes = (value: boolean | undefined, otherwise: boolean) => ((value ?? otherwise) ? "yes" : "no");
const dotted = (mask: number) => [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");

/** A service as the golden files show it. */
function shown(virtual: VirtualSettings) {
  const { id } = virtual;
  const mask =
    virtual.netmask === undefined ? null : id.family === 4 ? dotted(virtual.netmask) : virtual.netmask;
  const vip = id.kind === "fwmark" ? `-f ${id.fwmark}` : `-${id.protocol[0]} ${id.address}:${id.port}`;
  const options = [
    virtual.ops && id.kind === "address" && id.protocol === "udp" ? " -o" : "",
    ` -s ${virtual.scheduler}`,
    virtual.persistent ? ` -p ${virtual.persistent}${mask === null ? "" : ` -M ${mask}`}` : "",
    virtual.schedflags ? ` -b ${virtual.schedflags}` : "",
  ];
  const scheme = ["http", "https"].includes(virtual.service) ? virtual.service : undefined;
  return {
    id: virtual.name,
    family: id.family,
    protocol: id.kind === "fwmark" ? "fwm" : id.protocol,
    ...(id.kind === "fwmark" ? { fwmark: id.fwmark } : { address: id.address, port: id.port }),
    add_command: `-A ${vip}${options.join("")}`,
    scheduler: virtual.scheduler,
    persistent: virtual.persistent ?? null,
    netmask: mask,
    schedflags: virtual.schedflags ?? null,
    ops: yes(virtual.ops, false),
    checktype: virtual.checktype,
    service: virtual.service,
    checkport: virtual.checkport ?? null,
    checktimeout: virtual.checktimeout,
    negotiatetimeout: virtual.negotiatetimeout,
    checkcount: virtual.checkcount,
    failurecount: virtual.failurecount,
    checkinterval: virtual.checkinterval,
    request: virtual.request,
    receive: virtual.receive?.text ?? "",
    httpmethod: virtual.httpmethod,
    virtualhost: virtual.virtualhost ?? null,
    login: virtual.login,
    passwd: virtual.passwd,
    database: virtual.database,
    secret: virtual.secret,
    load: virtual.load ?? null,
    checkcommand: virtual.checkcommand,
    servicename: virtual.servicename ?? null,
    comment: virtual.comment ?? null,
    monitorfile: virtual.monitorfile ?? null,
    quiescent: yes(virtual.quiescent, false),
    cleanstop: yes(virtual.cleanstop, true),
    fallbackcommand: virtual.fallbackcommand ?? null,
    emailalert: virtual.emailalert ?? null,
    emailalertfreq: virtual.emailalertfreq,
    smtp: virtual.smtp ?? null,
    emailalertstatus: virtual.emailalertstatus,
    fallback: virtual.fallback
      ? { address: virtual.fallback.address, port: virtual.fallback.port, forward: virtual.fallback.forward }
      : null,
    reals: virtual.reals.map((real) => ({
      address: real.address,
      port: real.port,
      forward: real.forward,
      weight: real.weight,
      lower: real.lower,
      upper: real.upper,
      checkport: portToCheck(virtual, real) || null,
      request: requestOf(virtual, real),
      receive: receiveOf(virtual, real)?.text ?? "",
      url: scheme
        ? `${scheme}://${real.address}:${portToCheck(virtual, real)}${requestOf(virtual, real)}`
        : null,
    })),
  };
}

describe("the golden files", () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".expect"))) {
    const name = basename(file, ".expect");
    test(name, () => {
      const wanted = JSON.parse(readFileSync(join(folder, file), "utf8"));
      const { diagnostics, tree } = read(readFileSync(join(folder, `${name}.cf`), "utf8"));
      const errors = diagnostics.filter(({ severity }) => severity === "error");
      if (wanted.verdict === "error") {
        expect(errors[0]?.at.line).toBe(wanted.line);
        return;
      }
      expect(errors).toEqual([]);
      expect(diagnostics.filter(({ severity }) => severity === "warning")).toHaveLength(
        wanted.warnings.length,
      );
      const { globals } = tree;
      const fallback = (which: typeof globals.fallback) =>
        which ? { address: which.address, port: which.port ?? null, forward: which.forward } : null;
      expect({
        autoreload: yes(globals.autoreload, false),
        callback: globals.callback ?? null,
        checkcount: globals.checkcount ?? 1,
        checkinterval: globals.checkinterval ?? 10,
        checktimeout: globals.checktimeout ?? null,
        cleanstop: yes(globals.cleanstop, true),
        emailalert: globals.emailalert ?? null,
        emailalertfreq: globals.emailalertfreq ?? 0,
        emailalertfrom: globals.emailalertfrom ?? null,
        emailalertstatus: globals.emailalertstatus ?? ["starting", "running", "stopping", "reloading"],
        execute: globals.execute,
        failurecount: globals.failurecount ?? 1,
        fallback: fallback(globals.fallback),
        fallback6: fallback(globals.fallback6),
        fallbackcommand: globals.fallbackcommand ?? null,
        fork: yes(globals.fork, false),
        logfile: globals.logfile ?? DEFAULT_LOG,
        maintenancedir: globals.maintenancedir ?? null,
        negotiatetimeout: globals.negotiatetimeout ?? null,
        quiescent: yes(globals.quiescent, false),
        readdquiescent: yes(globals.readdquiescent, false),
        smtp: globals.smtp ?? null,
        supervised: yes(globals.supervised, false),
      }).toEqual(wanted.globals);
      expect(tree.virtuals.map(shown)).toEqual(wanted.virtuals);
      expect(tree.virtuals.map(({ id }) => serverName(id))).toHaveLength(wanted.virtuals.length);
    });
  }
});

/** Lines on which we differ, with our line of error (0: none), and why. */
const DIFFERENT: Readonly<Record<string, readonly [number, string]>> = {
  "virtual=10.0.0.1:80\n\tschedflags=a b\n": [1, "ipvsadm would refuse the service"],
  "virtual=10.0.0.1:80\n\tschedflags=a,b\n": [1, "ipvsadm would refuse the service"],
  "virtual=10.0.0.1:80\n\tnetmask=255.255.255.999\n": [2, "ipvsadm would refuse the service"],
  "virtual=10.0.0.1:80\n\tpersistent=9999999999\n": [2, "ipvsadm would refuse the service"],
  "virtual=0\n\n": [1, "ipvsadm would refuse the service"],
  "virtual=4294967296\n\n": [1, "ipvsadm would refuse the service"],
  "virtual=7\nvirtual=07\n\n": [3, "the same mark twice"],
  "virtual=1.2.3.4\n\n": [1, "the original takes firewall mark 1"],
  "virtual=1.2.3.4:80": [0, "the original finds a duplicate in the last line"],
  "virtual=1.2.3.4:80\n": [0, "the original finds a duplicate in the last line"],
  "virtual=10.0.0.1:80\n\treal=1.2.3.4:80 gate 5 u:2 l:1\n": [2, "the original loses u:"],
  'virtual=10.0.0.1:80\n\treal=1.2.3.4:80 gate 1 "a","b" u:5 l:3\n': [2, "the original loses u:"],
  'virtual=10.0.0.1:80\n\treal=1.2.3.4:80 gate 1 l:5 "a","b"\n': [2, "strict order"],
  'virtual=10.0.0.1:80\n\treal=1.2.3.4:80 gate "a","b" 5\n': [2, "strict order"],
  'virtual=10.0.0.1:80\n\treal=1.2.3.4:80 gate "a 7","b"\n': [0, "the original takes 7 for the weight"],
};

describe("single lines", () => {
  const cases: { text: string; exit: number; line?: number; warnings?: number }[] = JSON.parse(
    readFileSync(join(folder, "lines.json"), "utf8"),
  );
  test.each(cases.map((each) => [JSON.stringify(each.text), each] as const))(
    "%s",
    (_, { text, exit, line, warnings }) => {
      const { diagnostics } = read(text);
      const errors = diagnostics.filter(({ severity }) => severity === "error");
      const [other] = DIFFERENT[text] ?? [];
      expect(errors[0]?.at.line ?? 0, JSON.stringify(diagnostics, null, 1)).toBe(
        other ?? (exit === 2 ? line : 0),
      );
      const originals = ["ignored", "deprecated", "no-folder"];
      if (other === undefined && exit !== 2)
        expect(diagnostics.filter(({ code }) => originals.includes(code))).toHaveLength(warnings ?? 0);
    },
  );
});
