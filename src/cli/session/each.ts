import { messageOf } from "../../errors/mod.ts";
import { type CliIo, print, tell } from "../io.ts";

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
      await tell(io, `${messageOf(err)}\n`);
    }
  }
  return status;
}
