/**
 * `keepalived -t`: the configuration's messages in keepalived's words, and its exit status.
 * @module
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { machineInterfaces } from "../../../control/config/interfaces.ts";
import { readKeepalived } from "../../../control/config/keepalived/index.ts";
import { keepalivedTestStatus, testLines } from "../../../control/config/keepalived/said.ts";
import { EXIT } from "../../daemon/exit.ts";
import type { Options } from "./options.ts";

/** What `-t` prints and the status it ends with. */
export function testConfiguration(options: Options): {
  readonly status: number;
  readonly lines: readonly string[];
} {
  const file = resolve(options.file);
  // keepalived 2.2.7 calls a file that is not there fine (status 0).
  if (!existsSync(file))
    return { status: EXIT.missingFile, lines: [`Config files missing '${options.file}'.`] };
  const { wanted, said } = readKeepalived(file, {
    interfaces: machineInterfaces(),
    ...(options.configId !== undefined && { configId: options.configId }),
  });
  return { status: keepalivedTestStatus(said), lines: testLines(said, wanted.files.length > 1) };
}
