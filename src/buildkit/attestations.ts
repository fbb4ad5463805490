import { EngineError } from "../errors/mod.ts";
import { type BuildAttestations, noAttestations } from "../wire/mod.ts";
import type { Exporter } from "./exporter.ts";

/** What is attested with these outputs: files go without what only images need have. Throws "not-implemented" for more. */
export function attestedBy(exporters: readonly Pick<Exporter, "kind">[], asked: BuildAttestations): BuildAttestations {
  const files = exporters.find(({ kind }) => kind === "tar" || kind === "local");
  if (!files) return asked;
  const needsFiles = asked.provenance?.inlineOnly === false ? "provenance" : undefined;
  const what = asked.sbom ? "sbom" : needsFiles;
  if (what === undefined)
    return exporters.some(({ kind }) => kind === "image" || kind === "archive") ? asked : noAttestations;
  throw new EngineError(
    "not-implemented",
    `the attestation ${what} with an output of type ${files.kind} is not implemented by Berth: attest an image`,
  );
}
