// What line_protocol.py does, for servers on Node: JSON lines in and out, and publishing by deadlines.
import { createInterface } from "node:readline";
import { setImmediate, setTimeout } from "node:timers/promises";

const STEP_ID = "5d0c7f0e-3f3b-4f0e-9a51-0c5f1f1f7a11";
const AT = new Date().toISOString();

/** What the program was started with. */
export const options = JSON.parse(process.argv[2]);

/** The ids of the runs, the same ones in every process. */
export const runs = Array.from(
  { length: options.runs },
  (_, number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
);

/** Say that the program listens on this port. */
export function listening(port, versions) {
  const heads = runs.map(() => 0);
  tell({ port, versions: { node: process.versions.node, ...versions }, runs, heads });
}

function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Carry out commands with `publish(run, event)` until stdin ends, then exit. */
export function obey(publish) {
  const ids = runs.map(() => 0);
  const lines = createInterface({ input: process.stdin });
  lines.on("close", () => process.exit(0));
  lines.on("line", async (line) => {
    tell({ published: await publishSteadily(publish, ids, JSON.parse(line).publish) });
  });
}

async function publishSteadily(publish, ids, load) {
  const total = load.runs * load.events;
  const started = performance.now();
  for (let number = 0; number < total; number++) {
    const wait = started + (number * 1000) / (load.runs * load.rate) - performance.now();
    await (wait > 0 ? setTimeout(Math.ceil(wait)) : setImmediate());
    const run = number % load.runs;
    ids[run] += 1;
    publish(run, event(ids[run], run, number, load.padding));
  }
  return total;
}

function event(id, run, number, padding) {
  const payload = {
    at: AT,
    step_id: STEP_ID,
    agent_type: "ba_consultant",
    progress_pct: number % 100,
    progress_label: `Reading docs/requirements.md (${number % 40} of 40)${".".repeat(padding)}`,
    attempt: 1,
    sent_ns: Number(process.hrtime.bigint()),
  };
  return { id, type: "running", run_id: runs[run], payload };
}
