import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import { type CliIo, print, write } from "../io.ts";
import { unescapeFormat } from "../output/table.ts";
import { compileTemplate } from "../template/evaluate.ts";

/**
 * Shows objects as a JSON list, or by a template a line each. Objects that are there are shown even when others are not;
 * the status is 1 then.
 */
export async function inspectAll(
  io: CliIo,
  names: readonly string[],
  options: { format: string; get: (name: string) => Promise<unknown> },
): Promise<number> {
  const found: unknown[] = [];
  const errors: string[] = [];
  for (const name of names) {
    try {
      found.push(await options.get(name));
    } catch (err) {
      if (!isKind(err, "not-found")) throw err;
      errors.push(messageOf(err));
    }
  }
  await print(io, shown(found, options.format));
  for (const error of errors) await write(io.stderr, `Error: ${error}\n`);
  return errors.length > 0 ? 1 : 0;
}

function shown(found: readonly unknown[], format: string): string {
  if (format === "" || format === "json") return `${JSON.stringify(found, undefined, format === "" ? 4 : undefined)}\n`;
  const template = compileTemplate(unescapeFormat(format));
  return found.map((one) => `${template(one)}\n`).join("");
}

/** Tries each kind of object in turn; "not-found" `No such object: NAME` when none has it. */
export async function firstFound<T>(name: string, tries: readonly (() => Promise<T>)[]): Promise<T> {
  for (const get of tries) {
    try {
      return await get();
    } catch (err) {
      if (!isKind(err, "not-found")) throw err;
    }
  }
  throw new EngineError("not-found", `No such object: ${name}`);
}
