import type { Client } from "../../client/mod.ts";
import { type CliIo, print } from "../io.ts";
import { decimalSize } from "../output/units.ts";

/** Removing what is not used any more, of one kind. */
export interface Prune {
  readonly path: string;
  readonly filters: string | undefined;
  readonly query?: Readonly<Record<string, boolean>>;
  /** What stands above the list of what went. */
  readonly heading: string;
  /** Field of the answer with the names of what went, or objects that `line` turns into one. */
  readonly field: string;
  readonly line?: (item: never) => string;
}

/** Does it, shows what went, and returns how many bytes that were. */
export async function prune(io: CliIo, client: Client, request: Prune): Promise<number> {
  const { path, filters, query, heading, field, line = String } = request;
  const answer = await client.json<Record<string, unknown>>({ method: "POST", path, query: { ...query, filters } });
  const gone = (answer[field] ?? []) as never[];
  if (gone.length > 0) await print(io, `${heading}:\n${gone.map((one) => `${line(one)}\n`).join("")}\n`);
  return Number(answer["SpaceReclaimed"] ?? 0);
}

export function reclaimed(bytes: number): string {
  return `Total reclaimed space: ${decimalSize(bytes, 4)}\n`;
}

/** Asks on the terminal; an answer that is not yes, or none at all, is a no. */
export async function confirmed(io: CliIo, warning: string): Promise<boolean> {
  await print(io, `WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const answer = await new Promise<string>((resolve) => {
    io.stdin.once("data", (chunk: Uint8Array) => resolve(Buffer.from(chunk).toString()));
    io.stdin.once("end", () => resolve(""));
  });
  io.stdin.pause();
  return /^y(es)?\s*$/i.test(answer);
}
