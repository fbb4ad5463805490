/** Fails when a module imports what its layer may not (the table is ARCHITECTURE.md's), or anything but another module's mod.ts. */
import { Glob } from "bun";

const layers: Readonly<Record<string, number>> = {
  errors: -1,
  flags: 0,
  version: 0,
  patterns: 0,
  oci: 0,
  wire: 0,
  async: 0,
  stream: 0,
  proto: 0,
  log: 1,
  host: 1,
  db: 1,
  events: 1,
  http: 1,
  grpc: 1,
  content: 2,
  snapshots: 2,
  volumes: 2,
  network: 2,
  runtime: 2,
  rootfs: 2,
  userns: 2,
  "registry-client": 2,
  layers: 3,
  gc: 3,
  images: 4,
  containers: 5,
  builder: 5,
  api: 6,
  buildkit: 6,
  "registry-server": 6,
  daemon: 7,
  client: 8,
  cli: 9,
};

/**
 * Edges beside "downwards": who else may be imported by whom. cli asks host for two things, a terminal in raw mode and mknod, and
 * grpc for one, to answer the daemon's calls in a build's session. proto knows the entries of an archive, which BuildKit's clients
 * have as messages.
 */
const alsoAllowed = new Set([
  "cli>host",
  "events>db",
  "wire>oci",
  "grpc>http",
  "http>log",
  "host>log",
  "db>log",
  "events>log",
  "proto>stream",
]);
const facesTypeOnly = new Set(["api", "buildkit", "registry-server"]);
const faceValues = new Set([
  ...["errors", "version", "patterns", "oci", "wire", "async", "stream", "proto", "http", "grpc", "log"],
]);
const besideMayUse: Readonly<Record<string, readonly string[]>> = {
  client: ["errors", "version", "flags", "oci", "wire", "async", "stream"],
  cli: ["errors", "patterns", "version", "flags", "oci", "wire", "async", "stream", "proto", "grpc", "client"],
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly file: string;
  readonly typeOnly: boolean;
  readonly path: string;
}

const statement =
  /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?from\s+)?["'](\.[^"']+)["']|import\(\s*["'](\.[^"']+)["']/g;

function importsOf(file: string, text: string): Import[] {
  const from = file.split("/")[1] ?? "";
  const found: Import[] = [];
  for (const match of text.matchAll(statement)) {
    const path = match[3] ?? match[4] ?? "";
    const target = new URL(path, `file:///${file}`).pathname.slice(1);
    const to = target.split("/")[1] ?? "";
    if (to !== from && target.startsWith("src/"))
      found.push({ from, to, file, typeOnly: match[2] !== undefined, path });
  }
  return found;
}

/** Why an import is not allowed; undefined when it is. */
export function problem(edge: Omit<Import, "file">, isTest: boolean): string | undefined {
  if (edge.path.endsWith(".json")) return undefined;
  const { from, to } = edge;
  if (!(from in layers) || !(to in layers)) return from.endsWith(".ts") ? undefined : `unknown module ${to}`;
  if (!edge.path.endsWith("/mod.ts") && !isTest) return `import ${to}/mod.ts, not its inside`;
  if (to === "errors" || isTest) return undefined;
  const beside = besideMayUse[from];
  if (beside)
    return beside.includes(to) || alsoAllowed.has(`${from}>${to}`)
      ? undefined
      : `${from} may import ${beside.join(", ")} only`;
  if (facesTypeOnly.has(from) && !faceValues.has(to) && !edge.typeOnly)
    return "faces may only `import type` from the engine";
  const down = (layers[to] ?? 99) < (layers[from] ?? 0) || alsoAllowed.has(`${from}>${to}`);
  return down ? undefined : `${from} (L${layers[from]}) may not import ${to} (L${layers[to]})`;
}

if (import.meta.main) {
  let bad = 0;
  for await (const file of new Glob("src/**/*.ts").scan(".")) {
    const text = await Bun.file(file).text();
    for (const edge of importsOf(file, text)) {
      const why = problem(edge, /\.(test|suite)\.ts$|\/testing\//.test(file));
      if (!why) continue;
      bad++;
      process.stderr.write(`${file}: imports ${edge.path}: ${why}\n`);
    }
  }
  process.stdout.write(bad === 0 ? "layers: ok\n" : `layers: ${bad} forbidden imports\n`);
  process.exit(bad === 0 ? 0 : 1);
}
