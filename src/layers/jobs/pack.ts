import { confined, type Flow, FlowWriter, type IdMap, type Job, RegularFiles } from "../../host/mod.ts";
import { Packer, type PackerOptions } from "./packer.ts";

export interface PackInput {
  readonly directory: string;
  /** The directory holds a layer's own files, not a whole file system. */
  readonly layer: boolean;
  /** The directory shows what it holds as it is outside of a user namespace with this map. */
  readonly owners?: IdMap;
  /** Seconds since 1970 that no modification time exceeds. */
  readonly latest?: number;
  /** Bytes that there is room for; what has more is refused before it is written. */
  readonly room?: number;
}

/** Writes a directory as a tar archive to the main thread; returns the number of entries. For `streamJob`. */
export const packDirectory: Job<PackInput & Flow, number> = {
  name: "packDirectory",
  run: (input, context) => {
    const writer = new FlowWriter(input, context);
    using files = new RegularFiles();
    const options: PackerOptions = {
      files,
      layer: input.layer,
      ...(input.owners && { owners: input.owners }),
      ...(input.latest !== undefined && { latest: BigInt(input.latest) * 1_000_000_000n }),
      ...(input.room !== undefined && { room: BigInt(input.room) }),
      write: (bytes) => writer.write(bytes),
      check: context.check,
    };
    const entries = confined(input.directory, () => new Packer(options).run());
    writer.flush();
    return entries;
  },
};
