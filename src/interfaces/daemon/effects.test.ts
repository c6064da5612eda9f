import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { VrrpEvent } from "../../control/vrrp/messages.ts";
import { NO_VRRP, type VrrpInstanceSpec, type VrrpSpec } from "../../control/vrrp/spec.ts";
import type { Wanted } from "../../control/wanted.ts";
import { Effects } from "./effects.ts";

let folder: string;
let effects: Effects;
const told: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-effects-"));
  told.length = 0;
  effects = new Effects((part, level, text) => told.push(`${part} ${level} ${text}`));
});
afterEach(() => {
  effects.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A script that notes its name and arguments. */
const note = (name: string) => ({
  command: ["/bin/sh", "-c", `echo "$0 $*" >>${join(folder, "trace")}`, name],
});

const instance = (change: Partial<VrrpInstanceSpec> = {}): VrrpInstanceSpec =>
  ({
    name: "VI_1",
    smtpAlert: false,
    notifyPriorityChanges: false,
    notify: {
      master: note("master"),
      stop: note("stop"),
      masterRxLowerPri: note("lower"),
      any: note("any"),
    },
    ...change,
  }) as VrrpInstanceSpec;

function configure(vrrp: Partial<VrrpSpec>, global: Partial<Wanted["global"]> = {}): void {
  effects.configure({
    language: "ldirectord", // scripts run as whoever runs this test
    files: [],
    virtualServers: [],
    global: { routerId: "r", scriptSecurity: false, noFaultEmails: false, ...global } as Wanted["global"],
    vrrp: { ...NO_VRRP, ...vrrp },
  });
}

const event = (happening: object): VrrpEvent =>
  ({ atMs: 0, level: "info", text: "", reason: "", ...happening }) as unknown as VrrpEvent;

async function trace(): Promise<string[]> {
  await effects.settle(10_000);
  return readFileSync(join(folder, "trace"), "utf8").trim().split(/ *\n/);
}

describe("what VRRP events ask for", () => {
  test("notify_STATE comes before notify, one after another, whatever the number of changes", async () => {
    configure({ instances: [instance()] });
    effects.vrrp(event({ kind: "state", instance: "VI_1", from: "backup", to: "master", priority: 150 }));
    effects.vrrp(event({ kind: "state", instance: "VI_1", from: "master", to: "backup", priority: 150 }));
    effects.vrrp(event({ kind: "state", instance: "VI_1", from: "backup", to: "stop", priority: 150 }));
    expect(await trace()).toEqual([
      "master",
      "any INSTANCE VI_1 MASTER 150",
      "any INSTANCE VI_1 BACKUP 150",
      "stop",
      "any INSTANCE VI_1 STOP 150",
    ]);
  });

  test("a group's scripts get its name and priority 0", async () => {
    configure({
      groups: [
        {
          name: "VG",
          notify: { any: note("any") },
          smtpAlert: false,
        } as unknown as VrrpSpec["groups"][number],
      ],
    });
    effects.vrrp(event({ kind: "group", group: "VG", to: "fault" }));
    expect(await trace()).toEqual(["any GROUP VG FAULT 0"]);
  });

  test("priorities are told only where notify_priority_changes asks for it", async () => {
    const change = { kind: "priority", instance: "VI_1", state: "backup", from: 100, to: 90 };
    configure({ instances: [instance()] });
    effects.vrrp(event(change));
    configure({ instances: [instance({ notifyPriorityChanges: true })] });
    effects.vrrp(event(change));
    effects.vrrp(event({ ...change, state: "fault" }));
    expect(await trace()).toEqual(["any INSTANCE VI_1 BACKUP_PRIORITY 90"]);
  });

  test("at a reload, an instance that comes speaks with its own script, and one that goes with its former one", async () => {
    configure({ instances: [instance()] });
    effects.expect({ ...NO_VRRP, instances: [instance({ name: "VI_2", notify: { backup: note("new") } })] });
    effects.vrrp(event({ kind: "state", instance: "VI_1", from: "backup", to: "stop", priority: 150 }));
    effects.vrrp(event({ kind: "state", instance: "VI_2", from: "init", to: "backup", priority: 100 }));
    expect((await trace()).sort()).toEqual(["any INSTANCE VI_1 STOP 150", "new", "stop"]);
  });

  test("an instance that a reload removed is told of as failed, or as deleted where notify_deleted asks for it", async () => {
    const deleted = { kind: "state", instance: "VI_1", from: "master", to: "deleted", priority: 150 };
    const scripts = { any: note("any"), fault: note("fault") };
    configure({ instances: [instance({ notify: scripts })] });
    effects.vrrp(event(deleted));
    configure({ instances: [instance({ notify: { ...scripts, deleted: note("deleted") } })] });
    effects.vrrp(event(deleted));
    expect(await trace()).toEqual([
      "fault",
      "any INSTANCE VI_1 FAULT 150",
      "deleted",
      "any INSTANCE VI_1 DELETED 150",
    ]);
  });

  test("a lesser master that was heard has a script of its own", async () => {
    configure({ instances: [instance()] });
    effects.vrrp(event({ kind: "masterRxLowerPri", instance: "VI_1", priority: 50, from: "10.0.0.2" }));
    expect(await trace()).toEqual(["lower"]);
  });
});

describe("what the supervisor asks for", () => {
  test("ldirectord's fallback command is given to the shell with word, address and protocol", async () => {
    configure({});
    const id = { kind: "address", family: 4, protocol: "tcp", address: "10.0.0.1", port: 80 } as const;
    const command = `echo >>${join(folder, "trace")}`;
    effects.perform({ kind: "fallback-command", service: "A", command, word: "start", id });
    expect(await trace()).toEqual(["start 10.0.0.1:80 tcp"]);
  });

  test("a script that fails is told with its status", async () => {
    configure({});
    const script = { command: ["/bin/sh", "-c", "exit 7"] };
    effects.perform({ kind: "script", what: "notify_down", service: "A", server: "B", script });
    await effects.settle(10_000);
    expect(told).toEqual(["script warning notify_down of A: /bin/sh -c exit 7: exit status 7"]);
  });
});
