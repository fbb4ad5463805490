import { type Engine, expectOk } from "../test/support/engine.ts";
import { importBusybox } from "../test/support/images.ts";

const rounds = 5;
const many = "20000-29999:20000-29999";

/** What ten thousand published ports add to a container's start, and what one of another container costs beside them. */
export async function publishing(engine: Engine): Promise<string> {
  await importBusybox(engine, "bench-busybox");
  const [plain, published, alone, beside]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    await start(engine, "bench-other");
    plain.push(await timed(() => start(engine, "bench-ports")));
    alone.push(await timed(() => addPort(engine, "bench-other")));
    await remove(engine, "bench-ports");
    published.push(await timed(() => start(engine, "bench-ports", "-p", many)));
    beside.push(await timed(() => addPort(engine, "bench-other")));
    await remove(engine, "bench-ports", "bench-other");
  }
  const more = (median(published) - median(plain)).toFixed(2);
  const ratio = (median(beside) / median(alone)).toFixed(2);
  return `10,000 published ports add ${more} s to a start; a port of another container then takes ${ratio} of its time without them`;
}

async function start(engine: Engine, name: string, ...flags: string[]): Promise<void> {
  const argv = ["run", "-d", "--name", name, ...flags, "bench-busybox", "sleep", "1000"];
  expectOk(argv, await engine.berth(...argv));
}

async function addPort(engine: Engine, name: string): Promise<void> {
  const argv = ["port", "add", name, "80"];
  expectOk(argv, await engine.berth(...argv));
}

async function remove(engine: Engine, ...names: string[]): Promise<void> {
  await engine.berth("rm", "-f", ...names);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
