/**
 * The `keepalived` command.
 * @module
 */
import { main } from "./main.ts";

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: Error) => {
    process.stderr.write(`keepalived: ${error.message}\n`);
    process.exitCode = 1;
  },
);
