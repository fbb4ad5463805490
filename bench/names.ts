import { type Engine, expectOk } from "../test/support/engine.ts";
import { importBusybox } from "../test/support/images.ts";

const [perSecond, seconds, members] = [5000, 10, 20];

interface Load {
  readonly asked: number;
  readonly answered: number;
  readonly rate: number;
  /** Milliseconds. */
  readonly median: number;
  readonly p99: number;
  readonly worst: number;
}

/** How long names of containers take to resolve, asked 5,000 times a second from within one of them. */
export async function lookUps(engine: Engine): Promise<string> {
  await importBusybox(engine, "bench-busybox");
  const names = Array.from({ length: members }, (_, at) => `bench-names-${at}`);
  const ok = async (...argv: string[]) => expectOk(argv, await engine.berth(...argv));
  await ok("network", "create", "bench-names");
  try {
    for (const name of names) {
      await ok("run", "-d", "--init", "--name", name, "--network", "bench-names", "bench-busybox", "sleep", "1000");
    }
    const pid = await ok("inspect", "-f", "{{.State.Pid}}", names[0] ?? "");
    const { asked, answered, ...load } = await generate(pid, names);
    const shown = [load.median, load.p99, load.worst].map((time) => time.toFixed(2));
    return `look-ups of names  ${load.rate.toFixed(0)} a second for ${seconds} s   median ${shown[0]} ms   p99 ${shown[1]} ms   worst ${shown[2]} ms   lost ${asked - answered} of ${asked}`;
  } finally {
    await engine.berth("rm", "-f", ...names);
    await engine.berth("network", "rm", "bench-names");
  }
}

async function generate(pid: string, names: readonly string[]): Promise<Load> {
  const script = `${import.meta.dir}/names-load.ts`;
  const argv = [process.execPath, script, String(perSecond), String(seconds), ...names];
  const child = Bun.spawn(["nsenter", `--net=/proc/${pid}/ns/net`, ...argv], { stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(await new Response(child.stdout).text()) as Load;
}
