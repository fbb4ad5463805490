import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import { type CliIo, print, tell } from "../io.ts";
import { templateOf } from "../output/format.ts";

export interface InspectOptions {
  readonly format: string;
  readonly get: (name: string) => Promise<unknown>;
}

/**
 * Shows objects as a JSON list, or by a template a line each. Objects that are there are shown even when others are not;
 * the status is 1 then.
 */
export async function inspectAll(
  io: CliIo,
  names: readonly string[],
  { format, get }: InspectOptions,
): Promise<number> {
  const render = format === "" || format === "json" ? undefined : templateOf(format);
  const found: unknown[] = [];
  const errors: string[] = [];
  for (const name of names) {
    try {
      found.push(await get(name));
    } catch (err) {
      errors.push(messageOf(err));
    }
  }
  const whole = () => `${JSON.stringify(found, undefined, format === "" ? 4 : undefined)}\n`;
  await print(io, render ? found.map((one) => `${render(one)}\n`).join("") : whole());
  for (const error of errors) await tell(io, `${error}\n`);
  return errors.length > 0 ? 1 : 0;
}

/** Tries each kind of object in turn; "not-found" `Error: No such object: NAME` when none has it. */
export async function firstFound<T>(name: string, tries: readonly (() => Promise<T>)[]): Promise<T> {
  for (const get of tries) {
    try {
      return await get();
    } catch (err) {
      if (!isKind(err, "not-found")) throw err;
    }
  }
  throw new EngineError("not-found", `Error: No such object: ${name}`);
}
