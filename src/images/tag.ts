import { EngineError } from "../errors/mod.ts";
import { familiar, type Reference, withDefaultTag } from "../oci/mod.ts";
import { announce, type Context, nameRow } from "./context.ts";
import type { Image } from "./images.ts";
import { imageById, markTagged, setName } from "./table.ts";

/** Gives the image a name, taking it from the image that had it. Throws "not-found" when the image went away meanwhile. */
export function tagImage(context: Context, image: Image, ref: Reference): void {
  if (ref.digest) throw new EngineError("invalid", "refusing to create a tag with a digest reference");
  const name = withDefaultTag(ref);
  context.db.write((tx) => {
    if (!imageById(tx, image.id)) throw new EngineError("not-found", `No such image: ${image.id}`);
    setName(tx, nameRow(name, image.id));
    markTagged(tx, image.id, Date.now());
    announce(context, tx, { action: "tag", id: image.id, name: familiar(name), labels: image.run.Labels });
  });
}
