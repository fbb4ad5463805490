import { EngineError } from "../../errors/mod.ts";

/** Where the result of a build goes. `dest` "" is standard output. */
export type BuildOutput =
  | { readonly type: "local" | "tar"; readonly dest: string }
  | {
      readonly type: "oci" | "docker";
      readonly dest: string;
      readonly names: readonly string[];
      /** Its files in a directory, instead of an archive. */
      readonly isDirectory: boolean;
    }
  | { readonly type: "image"; readonly names: readonly string[]; readonly push: boolean };

/** `type=local,dest=DIR`, a directory alone, or `-` for a tar archive on standard output (docker buildx build, `--output`). Throws "invalid" and "not-implemented". */
export function parseOutput(text: string): BuildOutput {
  if (text === "-") return { type: "tar", dest: "" };
  if (!text.includes("=")) return { type: "local", dest: text };
  const fields = new Map(
    text.split(",").map((field) => [field.split("=", 1)[0] ?? "", field.slice(field.indexOf("=") + 1)]),
  );
  const type = fields.get("type") ?? "";
  switch (type) {
    case "local":
    case "tar":
      requireKnown(fields, []);
      return { type, dest: destination(fields, type === "local") };
    case "oci":
    case "docker": {
      requireKnown(fields, ["name", "tar"]);
      const isDirectory = !flagOf(fields, "tar", true);
      return { type, dest: destination(fields, isDirectory), names: namesOf(fields), isDirectory };
    }
    case "image":
    case "registry":
      requireKnown(fields, ["name", "push"]);
      return { type: "image", names: namesOf(fields), push: flagOf(fields, "push", type === "registry") };
    default:
      throw new EngineError("not-implemented", `--output type=${type} is not supported: one of ${types.join(", ")}`);
  }
}

const types = ["local", "tar", "oci", "docker", "image", "registry"];

type Fields = ReadonlyMap<string, string>;

function requireKnown(fields: Fields, more: readonly string[]): void {
  const other = [...fields.keys()].find((key) => !["type", "dest", ...more].includes(key));
  if (other !== undefined) throw new EngineError("not-implemented", `--output with ${other} is not supported`);
}

function destination(fields: Fields, isDirectory: boolean): string {
  const dest = fields.get("dest") ?? "";
  if (isDirectory && (dest === "" || dest === "-"))
    throw new EngineError("invalid", `--output type=${fields.get("type")} needs dest=DIR`);
  return dest === "-" ? "" : dest;
}

function namesOf(fields: Fields): string[] {
  return (fields.get("name") ?? "").split(",").filter((name) => name !== "");
}

function flagOf(fields: Fields, name: string, initial: boolean): boolean {
  const text = fields.get(name)?.toLowerCase() ?? `${initial}`;
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new EngineError("invalid", `--output with ${name}=${text}: true or false is expected`);
}

/** Throws "invalid" when several outputs would go to standard output. */
export function requireOutputs(outputs: readonly BuildOutput[]): void {
  if (outputs.filter((one) => one.type !== "image" && one.dest === "").length > 1)
    throw new EngineError("invalid", "only one --output can go to standard output: give the others a dest");
}
