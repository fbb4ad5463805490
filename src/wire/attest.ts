import { EngineError } from "../errors/mod.ts";

/** What a build tells about its image beside it (buildx, `--attest`). */
export interface BuildAttestations {
  readonly sbom: boolean;
  readonly provenance?: ProvenanceRequest;
  /** Of the client's repository, such as its `source` and `revision`, as the client says. */
  readonly vcs?: Readonly<Record<string, string>>;
}

export interface ProvenanceRequest {
  /** `max` also tells the Dockerfile, its steps and the values of build arguments. */
  readonly mode: "min" | "max";
  /** Of SLSA's predicate. */
  readonly version: "v1" | "v0.2";
  /** Who vouches for it, as a URI. */
  readonly builderId?: string;
  readonly reproducible: boolean;
  /** Only for outputs that are images; those that are files go without. */
  readonly inlineOnly: boolean;
}

export const noAttestations: BuildAttestations = { sbom: false };

/** Each as `type=sbom,…` or `type=provenance,…`; a later one takes the place of an earlier one of its type. Throws "invalid" and "not-implemented". */
export function decodeAttestations(texts: readonly string[]): BuildAttestations {
  let all = noAttestations;
  for (const text of texts) {
    const { type = "", ...fields } = fieldsOf(text);
    all = withAttestation(all, type, fields);
  }
  return all;
}

/** The same by type, as BuildKit's clients name them: `attest:sbom` with the fields as its value, in which buildx repeats the type. */
export function decodeAttestationsByType(texts: Readonly<Record<string, string>>): BuildAttestations {
  let all = noAttestations;
  for (const [type, text] of Object.entries(texts)) {
    const { type: _, ...fields } = fieldsOf(text);
    all = withAttestation(all, type.toLowerCase(), fields);
  }
  return all;
}

type AttestationFields = Readonly<Record<string, string>>;

function fieldsOf(text: string): AttestationFields {
  const fields = text.split(",").flatMap((field): [string, string][] => {
    const at = field.indexOf("=");
    if (field === "") return [];
    if (at <= 0) throw new EngineError("invalid", `invalid attestation ${JSON.stringify(text)}: KEY=VALUE is expected`);
    return [[field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)]];
  });
  return Object.fromEntries(fields);
}

function withAttestation(all: BuildAttestations, type: string, given: AttestationFields): BuildAttestations {
  const { disabled = "false", ...fields } = given;
  const wanted = !flag(`${type}: disabled`, disabled);
  switch (type) {
    case "sbom":
      refuseOthers(type, fields);
      return { ...all, sbom: wanted };
    case "provenance": {
      const { provenance: _, ...others } = all;
      return wanted ? { ...others, provenance: provenanceOf(fields) } : others;
    }
    default:
      throw new EngineError("invalid", `unknown attestation type ${JSON.stringify(type)}: it is sbom or provenance`);
  }
}

function provenanceOf(given: AttestationFields): ProvenanceRequest {
  const { mode = "", version = "", "builder-id": builderId = "", ...rest } = given;
  const { reproducible = "false", "inline-only": inlineOnly = "false", ...others } = rest;
  refuseOthers("provenance", others);
  return {
    mode: oneOf("mode", mode || "min", ["min", "max"]),
    version: oneOf("version", version || "v1", ["v1", "v0.2"]),
    ...(builderId !== "" && { builderId }),
    reproducible: flag("reproducible", reproducible),
    inlineOnly: flag("inline-only", inlineOnly),
  };
}

function oneOf<T extends string>(name: string, text: string, all: readonly T[]): T {
  const found = all.find((one) => one === text);
  if (found !== undefined) return found;
  throw new EngineError(
    "invalid",
    `invalid attestation: ${name} ${JSON.stringify(text)} is none of ${all.join(" and ")}`,
  );
}

function flag(name: string, text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw new EngineError("invalid", `invalid attestation: ${name} ${JSON.stringify(text)} is neither true nor false`);
}

/** The generator of an SBOM is one of them: it is an image that scans, which here the builder does. */
function refuseOthers(type: string, fields: AttestationFields): void {
  const [name] = Object.keys(fields);
  if (name === undefined) return;
  throw new EngineError("not-implemented", `build with ${name} of the attestation ${type} is not implemented by Berth`);
}
