/**
 * Starting the engine process from a command.
 * @module
 */
import { startProcess } from "../start-process.ts";
import type { EnginePaths } from "./paths.ts";

/**
 * Starts an engine in this process's network namespace; when another command does the same at this moment one of the two
 * engines stays.
 * @throws TableError with what the engine said
 */
export const startEngine = (paths: EnginePaths): Promise<void> =>
  startProcess({
    name: "the engine",
    bundle: "lvsd-engine.cjs",
    variable: "LVSD_ENGINE",
    directory: paths.directory,
  });
