import type { Job, JobContext } from "../../host/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { type Compression, sniff } from "../../stream/mod.ts";
import { packListing } from "../explain/listing.ts";
import { readIndex } from "../files/context-index.ts";
import { contextView } from "../files/context-view.ts";
import { readHead, through } from "../files/fs.ts";
import { hashSelected } from "../files/hash.ts";
import { raw } from "../files/raw.ts";
import { type Selected, select } from "../files/select.ts";

export interface SelectInput {
  readonly root: string;
  /** The root is not there: an archive has its files. */
  readonly packed?: PackedFiles;
  readonly sources: readonly string[];
  readonly exclude: readonly string[];
  readonly deep: boolean;
  readonly where: "context" | "stage";
  readonly keyword: string;
}

/** An archive that is not compressed, and the index of what is in it. */
export interface PackedFiles {
  readonly archive: string;
  readonly index: string;
}

export interface PackedContext extends PackedFiles {
  /** Digest of all that COPY may take from it; times are none of that. */
  readonly content: Digest;
}

export interface SelectOutput {
  readonly selected: readonly (Selected & { readonly compression?: Compression })[];
  readonly digest: Digest;
  /** See `packListing`. */
  readonly listing: Uint8Array;
}

/** Finds what the sources of COPY or ADD name, and digests it for the cache. */
export const selectJob: Job<SelectInput, SelectOutput> = {
  name: "builder.select",
  run(input, context) {
    const { packed } = input;
    if (!packed) return selectIn(input, context);
    const view = contextView(readIndex(packed.index), { root: raw(input.root), archive: packed.archive });
    return through(view, () => selectIn(input, context));
  },
};

function selectIn(input: SelectInput, context: JobContext): SelectOutput {
  const root = raw(input.root);
  const selected = select({ ...input, root });
  const lines: string[] = [];
  const digest = hashSelected(selected, { ...input, root, owners: input.where === "stage", context, listing: lines });
  const listing = packListing(lines);
  if (input.keyword !== "ADD") return { selected, digest, listing };
  return { selected: selected.map((item) => withCompression(root, item)), digest, listing };
}

/** What needs a program to unpack is known before the copy starts. */
function withCompression(root: string, item: Selected): SelectOutput["selected"][number] {
  return item.type === "file" ? { ...item, compression: sniff(readHead(`${root}/${item.real}`, 6)) } : item;
}
