import { expectOk } from "./engine.ts";

/** A network namespace, which stands for a host. */
export interface Host extends AsyncDisposable {
  /** What to put before a command line that is to run there. */
  readonly enter: readonly string[];
  /** Runs it there; its output without the white space around it, "" when it fails. */
  run(...argv: string[]): Promise<string>;
}

/** A host by itself, with loopback up. */
export async function makeHost(name: string): Promise<Host> {
  const full = `berth-${process.pid}-${name}`;
  await command("ip", "netns", "add", full);
  const enter = ["nsenter", `--net=/run/netns/${full}`];
  await command(...enter, "ip", "link", "set", "lo", "up");
  return {
    enter,
    run: async (...argv) => (await output([...enter, ...argv])).stdout.trim(),
    [Symbol.asyncDispose]: () => command("ip", "netns", "del", full),
  };
}

/** A cable between them, with 192.0.2.1 and 2001:db8::1 at the first one's end and 192.0.2.2 and 2001:db8::2 at the other's. */
export async function connectHosts(first: Host, second: Host): Promise<void> {
  const namespace = second.enter[1]?.replace("--net=", "") ?? "";
  await command(
    ...first.enter,
    "ip",
    "link",
    "add",
    "cable",
    "type",
    "veth",
    "peer",
    "name",
    "cable",
    "netns",
    namespace,
  );
  for (const [at, host] of [first, second].entries()) {
    const ip = [...host.enter, "ip"];
    await command(...ip, "addr", "add", `192.0.2.${at + 1}/24`, "dev", "cable");
    await command(...ip, "addr", "add", `2001:db8::${at + 1}/64`, "dev", "cable", "nodad");
    await command(...ip, "link", "set", "cable", "up");
  }
}

async function command(...argv: string[]): Promise<void> {
  expectOk(argv, await output(argv));
}

async function output(argv: readonly string[]) {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, stdout, stderr };
}
