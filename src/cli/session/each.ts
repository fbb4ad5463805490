import { EngineError, messageOf } from "../../errors/mod.ts";
import { type CliIo, print, write } from "../io.ts";

/**
 * Does the same to every name given, going on after a failure: each name is printed when it is done, each failure is told,
 * and the status is 1 if there was any.
 */
export async function each(
  io: CliIo,
  names: readonly string[],
  act: (name: string) => Promise<string | undefined>,
): Promise<number> {
  let status = 0;
  for (const name of names) {
    try {
      const shown = await act(name);
      if (shown !== undefined) await print(io, `${shown}\n`);
    } catch (err) {
      status = 1;
      await write(io.stderr, `berth: ${messageOf(err)}\n`);
    }
  }
  return status;
}

/** Asks on the terminal; "canceled" unless the answer is yes. */
export async function confirm(io: CliIo, question: string): Promise<void> {
  await write(io.stderr, `${question}\nAre you sure you want to continue? [y/N] `);
  const answer = await new Promise<string>((resolve) => {
    io.stdin.once("data", (chunk: Uint8Array) => resolve(Buffer.from(chunk).toString()));
    io.stdin.once("end", () => resolve(""));
  });
  io.stdin.pause();
  if (!/^y(es)?\s*$/i.test(answer)) throw new EngineError("canceled", "canceled");
}

/** `--filter KEY=VALUE` as the API wants it. */
export function filtersOf(given: readonly string[]): string | undefined {
  const filters: Record<string, string[]> = {};
  for (const one of given) {
    const at = one.indexOf("=");
    if (at < 1)
      throw new EngineError(
        "invalid",
        `invalid argument ${JSON.stringify(one)} for "-f, --filter" flag: bad format of filter (expected name=value)`,
      );
    const key = one.slice(0, at).trim().toLowerCase();
    filters[key] = [...(filters[key] ?? []), one.slice(at + 1).trim()];
  }
  return given.length === 0 ? undefined : JSON.stringify(filters);
}
