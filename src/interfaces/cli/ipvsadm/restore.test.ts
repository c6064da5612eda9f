import { expect, it } from "vitest";
import { runHere } from "../../../../test/golden/run-case.ts";
import { freshPlane, goldenNames } from "../../../../test/golden/surroundings.ts";
import { TableError } from "../../../core/errors.ts";

const START = `-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.0.0.11:80 -m -w 1 -x 9 -y 3
-a -t 10.0.0.1:80 -r 10.0.0.12:80 -m -w 2
-A -f 4294967295 -s sh -b flag-3
--start-daemon master --mcast-interface eth0 --syncid 3 --sync-maxlen 1472 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1
`;

/** A shell over a fresh table with {@link START} in it. */
async function shell() {
  const plane = freshPlane();
  const run = (line: string, stdin = "") => runHere(line, stdin, goldenNames(), async () => plane);
  expect(await run("ipvsadm -R", START)).toEqual({ stdout: "", stderr: "", status: 0 });
  return run;
}

it("what -S --full prints restores to what it was, marks above 2^31 and flags without a name included", async () => {
  const run = await shell();
  const saved = (await run("ipvsadm -Sn --full")).stdout;
  expect(saved).toContain("-x 9 -y 3");
  await run("ipvsadm --stop-daemon master");
  expect(await run("ipvsadm-restore", saved)).toMatchObject({ stderr: "", status: 0 });
  expect((await run("ipvsadm -Sn --full")).stdout).toBe(saved);
});

it("-R --atomic puts everything back when a later rule is refused", async () => {
  const run = await shell();
  const before = [await run("ipvsadm -Sn --full"), await run("ipvsadm -Ln --nosort")];
  const rules = `--set 1 2 3
-e -t 10.0.0.1:80 -r 10.0.0.11 -m -w 7
-d -t 10.0.0.1:80 -r 10.0.0.12
-E -t 10.0.0.1:80 -s lc
-D -f 4294967295
-A -t 10.0.0.2:80
--stop-daemon master
-a -t 10.0.0.2:80 -r 224.0.0.1
`;
  const outcome = await run("ipvsadm -R --atomic", rules);
  expect(outcome.status).toBe(255);
  expect(outcome.stderr).toMatch(/^Invalid operation\./);
  expect((await run("ipvsadm -Sn --full")).stdout).toBe(before[0].stdout);
});

it("-R --atomic runs nothing when a line cannot be read, and ipvsadm-restore --atomic keeps the table", async () => {
  const run = await shell();
  const before = await run("ipvsadm -Sn --full");
  expect((await run("ipvsadm -R --atomic", "-A -t 10.0.0.3:80\n-A -t nowhere\n")).status).toBe(2);
  expect((await run("ipvsadm-restore --atomic", "-A -t 10.0.0.3:80\n-A -t 10.0.0.3:80\n")).status).toBe(255);
  expect((await run("ipvsadm -Sn --full")).stdout).toBe(before.stdout);
  expect((await run("ipvsadm-restore --atomic", "-A -t 10.0.0.3:80\n")).status).toBe(0);
  expect((await run("ipvsadm -Sn")).stdout).toBe("-A -t 10.0.0.3:80 -s wlc\n");
});

it("-R --test reports every faulty line with its number and changes nothing", async () => {
  const run = await shell();
  const before = await run("ipvsadm -Sn --full");
  const rules =
    "# no comment here\n-C\n-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n-a -t 10.0.0.9:80 -r 10.0.0.1\n--bogus\n";
  const { stderr, status } = await run("ipvsadm -R --test --explain", rules);
  expect(status).not.toBe(0);
  expect([...stderr.matchAll(/^ {2}line (\d+):/gm)].map((m) => m[1])).toEqual(["1", "6", "4", "5"]);
  expect((await run("ipvsadm -Sn --full")).stdout).toBe(before.stdout);
});

it("-h and -v need no plane; everything else says why there is none, with exit status 2", async () => {
  const refuse = async () => {
    throw new TableError("EPERM", "only root may");
  };
  expect((await runHere("ipvsadm -h", "", goldenNames(), refuse)).status).toBe(0);
  expect((await runHere("ipvsadm -v", "", goldenNames(), refuse)).status).toBe(0);
  expect(await runHere("ipvsadm -Ln", "", goldenNames(), refuse)).toEqual({
    stdout: "",
    stderr:
      "Can't initialize ipvs: Permission denied (you must be root)\n" +
      "Are you sure that IP Virtual Server is built in the kernel or as module?\n",
    status: 2,
  });
});

it("--json has full numbers, unsigned marks and thresholds, and so in every kind of listing", async () => {
  const run = await shell();
  const table = JSON.parse((await run("ipvsadm -L --json")).stdout);
  expect(table.services.map((s: { fwmark?: number }) => s.fwmark)).toEqual([4294967295, undefined]);
  expect(table.services[1].destinations[0]).toMatchObject({
    upperThreshold: 9,
    lowerThreshold: 3,
    weight: 1,
  });
  expect(JSON.parse((await run("ipvsadm -L --daemon --json")).stdout).daemons[0].syncId).toBe(3);
  expect(JSON.parse((await run("ipvsadm -Lc --json")).stdout)).toEqual({ connections: [] });
});
