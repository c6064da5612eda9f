/**
 * Labs without root: a user namespace in which this user is root, with a network and a /run of its own, where the kernel
 * allows that.
 * @module
 */
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";

const UNSHARE = ["--user", "--map-root-user", "--net", "--mount"];
/** iproute2 keeps namespaces in /run/netns, which only the real root may write; the new mount namespace gets another /run. */
const PREPARE = "mount -t tmpfs tmpfs /run && mkdir /run/netns";

const whyNot = ({ error, stderr }: SpawnSyncReturns<string>): string =>
  error === undefined ? stderr.trim().split("\n")[0]! : error.message;

/**
 * Runs this command again inside such a namespace.
 * @returns its exit status
 * @throws Error that says why there is none here
 */
export async function runInUserNamespace(argv: readonly string[]): Promise<number> {
  const probe = spawnSync("unshare", [...UNSHARE, "sh", "-c", PREPARE], { encoding: "utf8" });
  if (probe.status !== 0) {
    throw new Error(`labs need root, or a user namespace, which is refused here: ${whyNot(probe)}`);
  }
  const words = [...UNSHARE, "sh", "-c", `${PREPARE} && exec "$@"`, "sh", process.execPath, ...argv];
  const child = spawn("unshare", words, { stdio: "inherit" });
  // The terminal sends Ctrl-C to the child too, which cleans up; we wait for it.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
