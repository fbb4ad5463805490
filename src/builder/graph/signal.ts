import { constants } from "node:os";

/** Throws an Error `invalid signal: X` for what is neither a number nor a signal's name (moby `signal.ParseSignal`). */
export function checkSignal(text: string): void {
  if (/^\d+$/.test(text)) {
    if (Number(text) === 0 || Number(text) > 64) throw new Error(`invalid signal: ${text}`);
    return;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known =
    name === "CLD" ||
    Object.hasOwn(constants.signals, `SIG${name}`) ||
    /^RTM(IN(\+([1-9]|1[0-5]))?|AX(-([1-9]|1[0-4]))?)$/.test(name);
  if (!known) throw new Error(`invalid signal: ${text}`);
}
