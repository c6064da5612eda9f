/**
 * The `lvsd` command. Processes that it starts for itself come first: they need no command-line library.
 * @module
 */

const [word, json] = process.argv.slice(2);

/** Says on stdout that everything listens; whoever started us waits for it. */
const ready = (): void => void process.stdout.write("ready\n");

async function main(): Promise<void> {
  switch (word) {
    case "lab-server":
      await (await import("../../lab/servers.ts")).serve(JSON.parse(json!));
      return ready();
    case "decapsulate":
      (await import("../../../control/realserver/decapsulator.ts")).decapsulate(JSON.parse(json!));
      return ready();
    default:
      process.exitCode = await (await import("./program.ts")).run(process.argv.slice(2));
  }
}

main().catch((error: Error) => {
  process.stderr.write(`lvsd: ${error.message}\n`);
  process.exitCode = 1;
});
