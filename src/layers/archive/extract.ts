import { EngineError } from "../../errors/mod.ts";
import { confined, type Feed, fed, type Job } from "../../host/mod.ts";
import { TarDecoder } from "../../stream/mod.ts";
import { Owners } from "../jobs/owners.ts";
import type { ExtractOptions } from "./archive.ts";
import { ConfinedRoot, notFound } from "./directory.ts";
import { Extractor } from "./extractor.ts";
import { type AskedPath, askedPath } from "./path.ts";

/** For `feedJob`. */
export const extractJob: Job<ExtractOptions & Feed, void> = {
  name: "extractInto",
  run: (input, context) => {
    const { owner, owners, noOverwriteDirNonDir, itself } = input;
    const [root, base] = confined(input.root, () => destination(input));
    const extractor = new Extractor({
      ...{ root, base, noOverwriteDirNonDir },
      ...(owner && { owner }),
      ...(itself && { itself }),
      ...(owners && { owners: new Owners(owners) }),
    });
    const decoder = new TarDecoder(extractor);
    try {
      for (const piece of fed(input, context)) {
        confined(input.root, () => decoder.push(piece));
        context.check();
      }
      decoder.finish();
      confined(input.root, () => extractor.finish());
    } catch (err) {
      confined(input.root, () => extractor.abandon());
      throw extractor.refusal ?? err;
    } finally {
      root[Symbol.dispose]();
    }
  },
};

function destination(input: ExtractOptions): [ConfinedRoot, string] {
  const root = new ConfinedRoot(input);
  try {
    return [root, checked(root, input)];
  } catch (err) {
    root[Symbol.dispose]();
    throw err;
  }
}

/** The directory's path without symlinks. */
function checked(root: ConfinedRoot, input: ExtractOptions): string {
  const asked = askedPath(input.path);
  const target = root.follow(asked.full);
  const path = { ...askedPath(target), full: asked.full };
  const stat = root.find(path);
  if (!stat.isDirectory()) throw new EngineError("invalid", "extraction point is not a directory");
  if (root.isHidden(path.base, stat)) throw notFound(path);
  refuseReadOnly(askedPath(target), input);
  return target;
}

function refuseReadOnly({ full }: AskedPath, { readOnly, mounts }: ExtractOptions): void {
  const holding = mounts.filter(({ destination: at }) => full === at || full.startsWith(`${at}/`));
  const [deepest] = holding.toSorted((a, b) => b.destination.length - a.destination.length);
  if (deepest && !deepest.rw) throw new EngineError("forbidden", "mounted volume is marked read-only");
  if (!deepest && readOnly) throw new EngineError("forbidden", "container rootfs is marked read-only");
}
