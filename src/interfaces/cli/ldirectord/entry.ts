/** The `ldirectord` command as a program. */
import { ldirectord } from "./main.ts";

ldirectord(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: Error) => {
    process.stderr.write(`ldirectord: ${error.message}\n`);
    process.exit(1);
  },
);
