import { closeSync, constants, readSync } from "node:fs";
import type { Job } from "../../host/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { type Compression, sniff } from "../../stream/mod.ts";
import { open } from "../files/fs.ts";
import { hashSelected } from "../files/hash.ts";
import { raw } from "../files/raw.ts";
import { type Selected, select } from "../files/select.ts";

export interface SelectInput {
  readonly root: string;
  readonly sources: readonly string[];
  readonly exclude: readonly string[];
  readonly deep: boolean;
  readonly where: "context" | "stage";
  readonly keyword: string;
}

export interface SelectOutput {
  readonly selected: readonly (Selected & { readonly compression?: Compression })[];
  readonly digest: Digest;
}

/** Finds what the sources of COPY or ADD name, and digests it for the cache. */
export const selectJob: Job<SelectInput, SelectOutput> = {
  name: "builder.select",
  run(input, context) {
    const root = raw(input.root);
    const selected = select({ ...input, root });
    const digest = hashSelected(selected, { ...input, root, owners: input.where === "stage", context });
    if (input.keyword !== "ADD") return { selected, digest };
    return { selected: selected.map((item) => withCompression(root, item)), digest };
  },
};

/** What needs a program to unpack is known before the copy starts. */
function withCompression(root: string, item: Selected): SelectOutput["selected"][number] {
  if (item.type !== "file") return item;
  const fd = open(`${root}/${item.real}`, constants.O_RDONLY);
  try {
    const head = Buffer.alloc(6);
    return { ...item, compression: sniff(head.subarray(0, readSync(fd, head))) };
  } finally {
    closeSync(fd);
  }
}
