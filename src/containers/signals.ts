import { constants } from "node:os";
import { EngineError } from "../errors/mod.ts";

const largest = 64;

/** The number of a signal as users write it: "KILL", "SIGTERM", "9", "RTMIN+3". Throws "invalid". */
export function signalNumber(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : byName(text.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined || number === 0) throw new EngineError("invalid", `invalid signal: ${text}`);
  if (number > largest) throw new EngineError("invalid", `the linux daemon does not support signal ${number}`);
  return number;
}

function byName(name: string): number | undefined {
  const real = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (!real) return (constants.signals as Readonly<Record<string, number>>)[`SIG${name === "CLD" ? "CHLD" : name}`];
  const base = real[1] === "MIN" ? 34 : largest; // glibc keeps 32 and 33 for itself
  const number = base + Number(`${real[2] ?? ""}${real[3] ?? 0}`);
  return number >= 34 ? number : undefined;
}
