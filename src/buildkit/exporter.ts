import { EngineError } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import type { control } from "../proto/mod.ts";
import type { BuildOutput } from "../wire/mod.ts";

/**
 * What becomes of a build's result: an image here; an archive of the image, which is OCI's and docker's form at once; its files
 * as an archive, or one by one. All but the first go to the client and leave no image here.
 */
export interface Exporter {
  readonly kind: "image" | "archive" | "tar" | "local";
  /** Names of the image. */
  readonly names: readonly string[];
}

/** The type's own names for it; `moby` is dockerd's own store. */
const kinds: Readonly<Record<string, Exporter["kind"]>> = {
  moby: "image",
  image: "image",
  docker: "archive",
  oci: "archive",
  tar: "tar",
  local: "local",
};

/** What images here are or have anyway, and what only the client needs to know. */
const harmless = [
  "unpack",
  "load",
  "store",
  "buildinfo",
  "buildinfo-attrs",
  "dangling-name-prefix",
  "danglingname",
  "dest",
];

/** Throws "not-implemented" for types and attributes that are not there. None is an image without a name. */
export function exporterOf(outputs: readonly BuildOutput[]): Exporter {
  const [first, ...more] = outputs;
  if (more.length > 0) throw refused("several outputs of one build are");
  if (!first) return { kind: "image", names: [] };
  const kind = Object.hasOwn(kinds, first.type) ? kinds[first.type] : undefined;
  if (!kind) throw refused(`output of type ${first.type} is`);
  const { name = "", push = "", tar = "true", ...others } = first.attributes;
  if (isTrue(push)) throw refused("pushing from the build (push the image afterwards) is");
  if (!isTrue(tar)) throw refused("output of an image as a directory (tar=false) is");
  const [unknown] = Object.keys(others).filter((attribute) => !harmless.includes(attribute));
  if (unknown !== undefined) throw refused(`output with ${unknown} is`);
  return { kind, names: name.split(",").filter((one) => one !== "") };
}

/** Older clients name one exporter, newer ones a list. */
export function outputsOf({ exporter, exporterAttrs, exporters }: control.SolveRequest): BuildOutput[] {
  if (exporters.length > 0) return exporters.map(({ type, attrs }) => ({ type, attributes: attrs }));
  return exporter === "" ? [] : [{ type: exporter, attributes: exporterAttrs }];
}

function refused(what: string): EngineError {
  return new EngineError("not-implemented", `${what} not implemented by Berth`);
}

function isTrue(text: string): boolean {
  return ["1", "t", "true"].includes(text.toLowerCase());
}

export function exporterResponse(image: Image, { kind, names }: Exporter) {
  if (kind === "tar" || kind === "local") return { exporterResponse: {} };
  return {
    exporterResponse: {
      "containerimage.config.digest": image.id,
      "containerimage.digest": image.id,
      ...(names.length > 0 && { "image.name": names.join(",") }),
    },
  };
}
