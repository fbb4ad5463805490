import { EngineError } from "../../errors/mod.ts";
import { bool, choice } from "../../flags/mod.ts";
import { type BuildAttestations, decodeAttestations } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { type Column, showList } from "../output/table.ts";
import type { BuildFlags } from "./build-flags.ts";
import type { BuildOutput } from "./output-flag.ts";
import { imagePath } from "./path.ts";

interface Statement {
  readonly subject?: readonly { readonly digest?: Readonly<Record<string, string>> }[];
  readonly predicateType: string;
  readonly predicate: {
    readonly packages?: readonly unknown[];
    readonly materials?: readonly unknown[];
    readonly buildDefinition?: { readonly resolvedDependencies?: readonly unknown[] };
  };
}

export const attestations = command({
  name: "attestations",
  summary: "Show what builds say about an image: what is in it, and what it was made from",
  usage: "[OPTIONS] IMAGE",
  examples: ["berth image attestations app", "berth image attestations --type sbom app"],
  flags: {
    json: bool("Print in-toto statements as JSON, as they are pushed"),
    type: choice("Print this document alone, as JSON", { of: ["", "sbom", "provenance"], initial: "" }),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ""], client }, io) {
    const all = await client.json<Statement[]>({ method: "GET", path: imagePath(name, "/attestations") });
    const wanted = flags.type === "" ? all : all.filter((one) => typeOf(one) === flags.type);
    if (flags.type !== "" && wanted.length === 0) {
      throw new EngineError("not-found", `${name} has no ${flags.type}: build it with --${flags.type}`);
    }
    if (flags.json) await print(io, json(wanted));
    else if (flags.type !== "") for (const { predicate } of wanted) await print(io, json(predicate));
    else await showList(io, all, { columns, shown: columns.map((one) => one.name), format: "" });
    return 0;
  },
});

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function typeOf({ predicateType }: Statement): string {
  if (predicateType.startsWith("https://spdx.dev/Document")) return "sbom";
  return predicateType.startsWith("https://slsa.dev/provenance/") ? "provenance" : "other";
}

const columns: readonly Column<Statement>[] = [
  { name: "Type", heading: "TYPE", value: typeOf },
  { name: "Predicate", heading: "PREDICATE", value: ({ predicateType }) => predicateType },
  { name: "Contents", heading: "CONTENTS", value: contents },
];

function contents({ predicate }: Statement): string {
  const { packages, materials = predicate.buildDefinition?.resolvedDependencies } = predicate;
  if (packages) return `${packages.length - 1} packages`; // the first is the image
  return materials ? `${materials.length} materials` : "";
}

/** What `--attest`, `--sbom` and `--provenance` ask for, as `--attest` has it (docker buildx build). */
export function attestTexts(flags: Pick<BuildFlags, "attest" | "sbom" | "provenance">): string[] {
  return [...flags.attest, ...short("sbom", flags.sbom), ...short("provenance", flags.provenance)];
}

function short(type: string, text: string): string[] {
  if (text === "") return [];
  const isWanted = /^(1|t|true)$/i.test(text);
  if (isWanted || /^(0|f|false)$/i.test(text)) return [`type=${type},disabled=${!isWanted}`];
  return [`type=${type},${text}`];
}

/** Throws "not-implemented" for an output that has no place for what is asked for, "invalid" for what nobody can ask for. */
export function requireAttestable(texts: readonly string[], outputs: readonly BuildOutput[]): void {
  const { sbom, provenance }: BuildAttestations = decodeAttestations(texts);
  const files = outputs.find(({ type }) => type === "local" || type === "tar");
  if (!files || !(sbom || provenance)) return;
  throw new EngineError(
    "not-implemented",
    `attestations with --output type=${files.type} are not implemented by Berth: attest an image`,
  );
}
