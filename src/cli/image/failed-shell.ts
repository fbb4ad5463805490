import type { Client } from "../../client/mod.ts";
import type { ProgressMessage } from "../../wire/mod.ts";
import { run } from "../container/run.ts";
import { type CliIo, tell } from "../io.ts";
import { removeImage } from "./output.ts";

/** What a failed step left. */
export interface Failed {
  readonly Image: string;
  readonly Shell: string;
}

/** Passes messages on, and takes out what tells of a failed step. */
export async function* withoutFailed(
  lines: AsyncIterable<ProgressMessage>,
  heard: (failed: Failed) => void,
): AsyncIterable<ProgressMessage> {
  for await (const line of lines) {
    const { aux } = line;
    if (typeof aux === "object" && aux !== null && "Failed" in aux) heard(aux.Failed as Failed);
    else yield line;
  }
}

/** A shell where the step failed, without its mounts; what it left is gone afterwards. */
export async function shellIn({ Image, Shell }: Failed, { client, io }: { client: Client; io: CliIo }): Promise<void> {
  const options = ["--rm", "--interactive", ...(io.stdin.isTTY ? ["--tty"] : []), "--entrypoint", Shell];
  await tell(io, `${Shell} in what the step left (without its mounts); leave it with exit\n`);
  try {
    await run.execute([...options, Image], { client, io, words: "berth build" });
  } finally {
    await removeImage(client, Image);
  }
}
