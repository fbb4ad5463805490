import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { busyboxRootfs, importBusybox } from "../support/images.ts";
import type { Entry } from "../support/tar.ts";

/** The image that these tests run: busybox. */
export const image = "clients-busybox:latest";
export const reaperImage = "clients-reaper:latest";

/**
 * A Berth of its own, or the engine that CLIENTS_HOST names, whose tests prove the tests. Has {@link image}. What the tests
 * leave on an engine that is not theirs is theirs to remove.
 */
export async function clientEngine(): Promise<Pick<Engine, "host"> & AsyncDisposable> {
  const given = process.env["CLIENTS_HOST"];
  const engine = given ? { host: given, [Symbol.asyncDispose]: () => Promise.resolve() } : await startEngine();
  await importBusybox(engine, "clients-busybox");
  return engine;
}

/** Gives an engine the reaper: compiled, on top of busybox, with the libraries that it is linked to. */
export async function importReaper(engine: Pick<Engine, "host">): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "berth-reaper-"));
  try {
    const built = Bun.spawnSync(
      [
        process.execPath,
        "build",
        "--compile",
        "--minify",
        `${import.meta.dir}/reaper/reaper.ts`,
        "--outfile",
        "reaper",
      ],
      { cwd: directory },
    );
    if (built.exitCode !== 0) throw new Error(`compiling the reaper: ${built.stderr}`);
    const files = [`${directory}/reaper`, ...libraries(`${directory}/reaper`)];
    const entries = files.map(
      (file): Entry => ({ name: file.replace(directory, "").slice(1), mode: 0o755, data: readFileSync(file) }),
    );
    const change = encodeURIComponent('ENTRYPOINT ["/reaper"]');
    const path = `/images/create?fromSrc=-&repo=clients-reaper&tag=latest&changes=${change}`;
    const answer = await call(engine, `POST ${path}`, busyboxRootfs(...entries));
    if (answer.status !== 200 || answer.text.includes('"error"')) throw new Error(`import: ${answer.text}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function libraries(program: string): string[] {
  const { stdout } = Bun.spawnSync(["ldd", program]);
  return [...stdout.toString().matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}
