import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEngine } from "../test/support/engine.ts";
import { lookUps } from "./names.ts";
import { publishing } from "./ports.ts";
import { responsiveness } from "./responsive.ts";
import { throughput } from "./throughput.ts";

/**
 * Ratios against another engine in one run (`bench/compare`), then what has no counterpart there. Machines are noisy: the
 * ratios count, not the milliseconds.
 */
const argv = process.argv.slice(2);
const given = argv.indexOf("--b");
const engine = await startEngine();
const reference = given < 0 ? await startDockerd() : undefined;
try {
  const b = given < 0 ? reference?.host : argv[given + 1];
  const rest = given < 0 ? argv : argv.toSpliced(given, 2);
  if (!b) process.stdout.write("no dockerd here (apt-get install docker.io): times only, no ratios\n");
  const compare = Bun.spawn(["bench/compare", "--a", engine.host, ...(b ? ["--b", b] : []), ...rest], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.exitCode = await compare.exited;
  if (!argv.includes("--only")) {
    process.stdout.write(`${await responsiveness(engine.host)}\n`);
    process.stdout.write(`${await throughput(engine)}\n`);
    process.stdout.write(`${await lookUps(engine)}\n`);
    process.stdout.write(`${await publishing(engine)}\n`);
  }
} finally {
  await engine[Symbol.asyncDispose]();
  await reference?.stop();
}

/** Debian's dockerd on roots of its own; undefined where it is not installed or does not come up. */
async function startDockerd(): Promise<{ host: string; stop(): Promise<void> } | undefined> {
  if (!Bun.which("dockerd")) return undefined;
  const directory = mkdtempSync(join(tmpdir(), "bench-dockerd-"));
  const host = `unix://${directory}/docker.sock`;
  const flags = [
    "-H",
    host,
    "--data-root",
    `${directory}/data`,
    "--exec-root",
    `${directory}/exec`,
    "-p",
    `${directory}/pid`,
  ];
  const child = Bun.spawn(["dockerd", ...flags], { stdio: ["ignore", "ignore", Bun.file(`${directory}/log`)] });
  const stop = async () => {
    child.kill("SIGTERM");
    await child.exited;
    // dockerd leaves its own tables and its bridge behind, and with them a policy that drops what others forward.
    for (const table of ["nat", "filter"])
      await Bun.spawn(["nft", "delete", "table", "ip", table], { stdio: ["ignore", "ignore", "ignore"] }).exited;
    await Bun.spawn(["ip", "link", "del", "docker0"], { stdio: ["ignore", "ignore", "ignore"] }).exited;
    rmSync(directory, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const answer = await fetch("http://docker/_ping", { unix: host.replace("unix://", "") }).catch(() => undefined);
    if (answer?.ok) return { host, stop };
    await Bun.sleep(100);
  }
  await stop();
  return undefined;
}
