import { dockerfileError } from "./error.ts";

/** One `RUN --mount=…` (docs.docker.com/reference/dockerfile, "RUN --mount"). Words are not yet expanded. */
export interface RunMount {
  readonly type: "bind" | "cache" | "tmpfs" | "secret";
  readonly target: string;
  readonly source: string;
  /** A stage or an image; undefined is the build context (bind) or nothing (cache). */
  readonly from?: string;
  readonly readonly: boolean;
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  readonly mode?: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; undefined for no limit of its own. */
  readonly size?: number;
  readonly required: boolean;
  /** Secret: the environment variable to put it in. */
  readonly env?: string;
}

const keysOf: Readonly<Record<RunMount["type"], readonly string[]>> = {
  bind: ["target", "source", "from", "readonly"],
  cache: ["target", "source", "from", "readonly", "id", "sharing", "mode", "uid", "gid"],
  tmpfs: ["target", "size"],
  secret: ["target", "id", "required", "mode", "uid", "gid", "env"],
};
const aliases: Readonly<Record<string, string>> = {
  dst: "target",
  destination: "target",
  src: "source",
  ro: "readonly",
  rw: "readwrite",
};

/** Throws "invalid" for an unknown type or key, and "not-implemented"-like words for ssh, which needs a session. */
export function parseMount(text: string, line: number): RunMount {
  const fields = new Map<string, string | undefined>();
  for (const field of text.split(",")) {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).trim().toLowerCase();
    fields.set(aliases[key] ?? key, at < 0 ? undefined : field.slice(at + 1));
  }
  const type = typeOf(fields.get("type") ?? "bind", line);
  for (const key of fields.keys()) checkKey(type, { key, line });
  return mountOf(type, { fields, line });
}

function typeOf(text: string, line: number): RunMount["type"] {
  const type = text.toLowerCase();
  if (type === "bind" || type === "cache" || type === "tmpfs" || type === "secret") return type;
  if (type === "ssh")
    throw dockerfileError(line, "RUN --mount=type=ssh requires a build session, which is not supported");
  throw dockerfileError(line, `unsupported mount type ${JSON.stringify(text)}`);
}

function checkKey(type: RunMount["type"], { key, line }: { key: string; line: number }): void {
  if (key === "type" || keysOf[type].includes(key)) return;
  if (key === "readwrite" && keysOf[type].includes("readonly")) return;
  throw dockerfileError(line, `unexpected key '${key}' for mount type '${type}'`);
}

interface Given {
  readonly fields: ReadonlyMap<string, string | undefined>;
  readonly line: number;
}

function mountOf(type: RunMount["type"], given: Given): RunMount {
  const { fields } = given;
  const id = fields.get("id") ?? "";
  const from = fields.get("from");
  const env = fields.get("env");
  const mode = number(given, { key: "mode", radix: 8 });
  const size = bytes(given);
  const target = fields.get("target") ?? (type === "secret" && env === undefined ? `/run/secrets/${id}` : "");
  if (target === "" && env === undefined) {
    throw dockerfileError(given.line, `mount type ${type} requires a target`);
  }
  return {
    type,
    target,
    source: fields.get("source") ?? "",
    ...(from !== undefined && { from }),
    readonly: isReadonly(type, given),
    id: id || target,
    sharing: sharing(given),
    ...(mode !== undefined && { mode }),
    uid: number(given, { key: "uid", radix: 10 }) ?? 0,
    gid: number(given, { key: "gid", radix: 10 }) ?? 0,
    ...(size !== undefined && { size }),
    required: truth(given, "required") ?? false,
    ...(env !== undefined && { env }),
  };
}

function isReadonly(type: RunMount["type"], given: Given): boolean {
  const readwrite = truth(given, "readwrite");
  return truth(given, "readonly") ?? (readwrite === undefined ? type === "bind" : !readwrite);
}

function truth({ fields, line }: Given, key: string): boolean | undefined {
  if (!fields.has(key)) return undefined;
  const value = fields.get(key)?.toLowerCase() ?? "true";
  if (["true", "1"].includes(value)) return true;
  if (["false", "0"].includes(value)) return false;
  throw dockerfileError(line, `invalid value for ${key}: ${value}`);
}

function sharing({ fields, line }: Given): RunMount["sharing"] {
  const value = (fields.get("sharing") ?? "shared").toLowerCase();
  if (value === "shared" || value === "private" || value === "locked") return value;
  throw dockerfileError(line, `unsupported sharing value ${JSON.stringify(value)}`);
}

function number({ fields, line }: Given, { key, radix }: { key: string; radix: 8 | 10 }): number | undefined {
  const value = fields.get(key);
  if (value === undefined) return undefined;
  const good = radix === 8 ? /^[0-7]{1,5}$/ : /^\d{1,10}$/;
  if (!good.test(value)) throw dockerfileError(line, `invalid value ${value} for ${key}`);
  return Number.parseInt(value, radix);
}

function bytes({ fields, line }: Given): number | undefined {
  const value = fields.get("size");
  if (value === undefined) return undefined;
  const match = /^(\d+)([kmg]?)b?$/i.exec(value);
  if (!match) throw dockerfileError(line, `invalid value for size: ${value}`);
  return Number(match[1]) * 1024 ** " kmg".indexOf((match[2] || " ").toLowerCase());
}
