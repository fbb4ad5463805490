import { networkInterfaces } from "node:os";
import { type Engine, expectOk } from "../test/support/engine.ts";
import { importBusybox } from "../test/support/images.ts";
import { until } from "../test/support/until.ts";

const bytes = 1 << 30;
const rounds = 7;

/** Reads 1 GiB from a container by a published port and by the container's own address, turn about, and compares. */
export async function throughput(engine: Engine): Promise<string> {
  await importBusybox(engine, "bench-busybox");
  const serve = ["nc", "-ll", "-p", "80", "-e", "dd", "if=/dev/zero", "bs=1M", `count=${bytes >> 20}`];
  const argv = ["run", "-d", "--init", "--name", "bench-throughput", "-p", "80", "bench-busybox", ...serve];
  try {
    expectOk(argv, await engine.berth(...argv));
    return await compared(await waysTo(engine, "bench-throughput"));
  } finally {
    await engine.berth("rm", "-f", "bench-throughput");
  }
}

interface Way {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** The first is what the others are compared with. */
async function waysTo(engine: Engine, name: string): Promise<readonly Way[]> {
  const format = '{{.NetworkSettings.IPAddress}} {{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}';
  const argv = ["inspect", "-f", format, name];
  const [address = "", port = ""] = expectOk(argv, await engine.berth(...argv)).split(" ");
  const ways = [
    { name: "container's address", address, port: 80 },
    { name: "published, 127.0.0.1", address: "127.0.0.1", port: Number(port) },
  ];
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const outer = own.find((one) => one.family === "IPv4" && !one.internal);
  return outer ? [...ways, { name: "published, host's address", address: outer.address, port: Number(port) }] : ways;
}

async function compared(ways: readonly Way[]): Promise<string> {
  const times = new Map(ways.map((way): [Way, number[]] => [way, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const way of ways) {
      const seconds = await read(way);
      if (round > 0) times.get(way)?.push(seconds); // the first one warms up
    }
  }
  const [first = []] = times.values();
  const lines = ways.map((way) => {
    const own = times.get(way) ?? [];
    const ratio = median(own.map((seconds, index) => seconds / (first[index] ?? seconds)));
    const speed = (bytes / median(own) / 1e9).toFixed(2);
    return `${way.name.padEnd(26)} ${speed} GB/s   time, compared with the container's address: ${ratio.toFixed(2)}`;
  });
  return lines.join("\n");
}

/** Reads all and gives the seconds that it took; waits until somebody listens. */
async function read({ address, port }: Way): Promise<number> {
  return await until(`${address}:${port} answers`, async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    let count = 0;
    const start = performance.now();
    await Bun.connect({
      hostname: address,
      port,
      socket: {
        data: (_, chunk) => {
          count += chunk.length;
        },
        close: () => resolve(count),
        error: () => resolve(count),
        connectError: () => resolve(count),
      },
    }).catch(() => resolve(0));
    return (await promise) === bytes ? (performance.now() - start) / 1000 : undefined;
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
