import { EngineError } from "../../errors/mod.ts";
import type { Host } from "../../host/mod.ts";
import { type Bytes, decompress } from "../../stream/mod.ts";

/** An archive decompressed, whatever Docker takes: gzip and zstd here, bzip2 and xz by their programs. */
export function plain({ host }: { readonly host: Host }, bytes: Bytes): Bytes {
  return decompress(bytes, { external: (format, packed) => throughProgram(host, { format, packed }) });
}

async function* throughProgram(
  { processes }: Host,
  { format, packed }: { readonly format: "bzip2" | "xz"; readonly packed: Bytes },
): AsyncGenerator<Uint8Array> {
  const child = processes.spawn([format, "-dc"], { stdio: ["pipe", "pipe", "ignore"] });
  const [input, output] = [child.pipes.get(0), child.pipes.get(1)];
  if (!input || !output) throw new EngineError("internal", `${format} was started without pipes`);
  let failure: unknown;
  const feeding = feed(packed, input).catch((err: unknown) => {
    failure = err;
    child.kill(9);
  });
  try {
    yield* output as AsyncIterable<Uint8Array>;
    await feeding;
    if (failure !== undefined) throw failure;
    if ((await child.exited) !== 0) throw new EngineError("invalid", `Cannot decompress ${format} data: it is broken`);
  } finally {
    child.kill(9);
    output.destroy();
    await child.exited;
  }
}

/** A program that takes no more has said why by its exit status. */
async function feed(packed: Bytes, input: NodeJS.WritableStream & { destroyed?: boolean }): Promise<void> {
  let broken = false;
  input.on("error", () => {
    broken = true;
  });
  for await (const piece of packed) {
    if (broken) return;
    await new Promise<void>((resolve) => input.write(piece, () => resolve()));
  }
  input.end();
}
