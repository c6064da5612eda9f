/**
 * `npm run flood`: several threads open, use and end a million connections at the same programs at the same time, more than the table
 * holds, while another lets the clock run and the sweeper work. Every count must be exact at every rest, and nothing may be left at
 * the end.
 *
 *     npm run flood [-- --flows=1000000] [--threads=2]
 */
import { isMainThread, Worker } from "node:worker_threads";
import { BED, FloodBed } from "./flood-bed.ts";
import { type Order, serve, type Tally, type WorkerData } from "./flood-worker.ts";

const option = (name: string, otherwise: number): number =>
  Number(process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise);

/** Threads that send. */
class Threads {
  readonly #workers: Worker[];

  constructor(count: number, data: (n: number) => WorkerData) {
    this.#workers = Array.from(
      { length: count },
      (_, n) => new Worker(process.argv[1]!, { workerData: data(n) }),
    );
  }

  /** Everybody obeys; meanwhile `beside` is called again and again. */
  async all(order: (n: number) => Order, beside = () => {}): Promise<Tally[]> {
    let done = false;
    const tallies = Promise.all(
      this.#workers.map(
        (worker, n) =>
          new Promise<Tally>((resolve, reject) => {
            worker.once("message", resolve).once("error", reject);
            worker.postMessage(order(n));
          }),
      ),
    ).finally(() => {
      done = true;
    });
    while (!done) {
      beside();
      await new Promise(setImmediate);
    }
    return tallies;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

const sum = (tallies: readonly Tally[], of: (t: Tally) => number): number =>
  tallies.reduce((total, t) => total + of(t), 0);

async function main(): Promise<void> {
  const flows = option("flows", 1_000_000);
  const count = option("threads", 2);
  // Two out of three fit.
  const slots = Math.ceil((flows * 2) / 3);
  const bed = new FloodBed(slots);
  // The first thread's packets meet XDP before TC.
  const threads = new Threads(count, (n) => ({
    targets: BED.targets,
    ingress: bed.ingress,
    ...(n === 0 && { xdp: bed.xdp }),
  }));
  const from = Date.now();
  const say = (what: string): void =>
    console.log(`${((Date.now() - from) / 1000).toFixed(1)} s: ${what}: ${bed.describe()}`);
  try {
    const half = Math.floor(flows / 2);
    let tallies = await threads.all(() => ({ kind: "open", from: 0, to: half, stride: 1 }));
    bed.tallied(tallies);
    bed.expect("every thread opened the same flows", half, bed.scheduled());
    bed.expect("connections", half, bed.live());
    bed.check();
    say(`${half} flows opened by every thread`);

    tallies = await threads.all((n) => ({ kind: "open", from: half + n, to: flows, stride: count }));
    bed.tallied(tallies);
    const refused = sum(tallies, (t) => t.dropped);
    bed.expect("flows beyond the table", flows - (slots - 1 - bed.templates()), refused);
    bed.expect("refused, as counted", refused, bed.tableFull());
    bed.expect("slots used", slots - 1, bed.live() + bed.templates());
    bed.check();
    say(`${flows} flows, ${refused} did not fit`);

    for (let round = 1; round <= 4; round++) {
      tallies = await threads.all(
        (n) => ({ kind: "mix", packets: half / count, flows, seed: 100 * round + n }),
        () => bed.tick(100),
      );
      bed.tallied(tallies);
      bed.check();
      say(`${sum(tallies, (t) => t.sent)} packets of any kind, while time passed`);
    }

    bed.pass();
    bed.check();
    bed.checkEmpty();
    say("everything is over");

    const before = bed.scheduled();
    tallies = await threads.all((n) => ({ kind: "open", from: n, to: flows, stride: count }));
    bed.tallied(tallies);
    bed.expect("slots used again", slots - 1, bed.live() + bed.templates());
    bed.expect("connections made again", bed.live(), bed.scheduled() - before);
    bed.check();
    bed.pass();
    bed.check();
    bed.checkEmpty();
    say("filled and emptied once more");
  } finally {
    await threads.close();
    bed.close();
  }
  for (const fault of bed.faults) console.log(`WRONG: ${fault}`);
  console.log(`${flows} flows, ${count} threads, ${bed.checks} checks, ${bed.faults.length} wrong`);
  process.exitCode = bed.faults.length > 0 ? 1 : 0;
}

if (isMainThread) {
  main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
} else serve();
