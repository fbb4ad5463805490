/** Prints how long a container's life takes: `bun src/runtime/testing/bench.ts [crun|runc] [count]`. */
import { Lab } from "./lab.ts";

const name = process.argv[2] === "runc" ? "runc" : "crun";
const count = Number(process.argv[3] ?? 50);
await using lab = await Lab.open(name);
const { runtime } = lab;
const abort = new AbortController();
const exits = runtime.exits(abort.signal)[Symbol.asyncIterator]();
const spent = new Map<string, number[]>();
let since = 0;

function mark(step: string): void {
  const now = performance.now();
  spent.set(step, [...(spent.get(step) ?? []), now - since]);
  since = now;
}

for (let at = 0; at < count; at++) {
  const began = performance.now();
  since = began;
  const bundle = lab.bundle(["/bin/true"]);
  since = performance.now();
  await runtime.create(bundle);
  mark("create");
  await runtime.start(bundle.id);
  mark("start");
  await exits.next();
  mark("exit");
  await runtime.delete(bundle.id);
  mark("delete");
  since = began;
  mark("all");
}
abort.abort();
for (const [step, times] of spent) {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  process.stdout.write(`${name} ${step.padEnd(7)} min ${at(0)} median ${at(0.5)} p90 ${at(0.9)} ms\n`);
}
