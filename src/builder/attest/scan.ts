import { EngineError, messageOf } from "../../errors/mod.ts";
import { confined, type JobContext, rooted } from "../../host/mod.ts";
import { byBytes, shown } from "../files/raw.ts";
import { type Visitor, walk } from "../files/walk.ts";
import { apkPackages } from "./apk.ts";
import { copyrightLicenses, dpkgPackages } from "./dpkg.ts";
import { npmPackage, pythonPackage } from "./languages.ts";
import { parseRelease } from "./os-release.ts";
import type { Package, Release } from "./package.ts";

/** What an image's files say is installed. */
export interface Scan {
  readonly release: Release;
  /** In order of their types, names, versions and sources. */
  readonly packages: readonly Package[];
  /** What was not read, and why. */
  readonly notes: readonly string[];
}

const databaseLimit = 64 * 1024 * 1024;
const fileLimit = 1024 * 1024;
/** Those of boost have two. */
const copyrightLimit = 4 * 1024 * 1024;
/** A language's packages lie anywhere; what lies deeper is nobody's. */
const maxDepth = 64;

export interface ScanLimits {
  readonly packages: number;
  readonly entries: number;
}

/** Ten times what large images have. */
export const scanLimits: ScanLimits = { packages: 20_000, entries: 3_000_000 };

const dpkgStatus = "/var/lib/dpkg/status";
const dpkgDirectory = "/var/lib/dpkg/status.d";
const apkDatabases = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
/** Where rpm keeps its packages, in one of three binary formats. */
const rpmDatabases = ["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"].flatMap((directory) =>
  ["rpmdb.sqlite", "Packages", "Packages.db"].map((name) => `${directory}/${name}`),
);

/** Reads the package databases below a directory that nobody writes to. Its files are hostile: no link leads out of it, and everything has a limit. Worker threads only. */
export function scan(root: string, context: JobContext, limits = scanLimits): Scan {
  return new Scanner(root, context, limits).run();
}

class Scanner {
  readonly #root: string;
  readonly #context: JobContext;
  readonly #limits: ScanLimits;
  readonly #packages: Package[] = [];
  readonly #notes: string[] = [];
  #unnamed = 0;

  constructor(root: string, context: JobContext, limits: ScanLimits) {
    this.#root = root;
    this.#context = context;
    this.#limits = limits;
  }

  run(): Scan {
    const release = parseRelease(this.#text("/etc/os-release") ?? this.#text("/usr/lib/os-release") ?? "");
    const found = this.#find();
    this.#dpkg(release, found.dpkg);
    for (const source of apkDatabases) {
      const text = this.#text(source, databaseLimit);
      if (text !== undefined) this.#add(apkPackages(text, { source, release }));
    }
    for (const source of found.npm) this.#one(source, npmPackage);
    for (const source of found.python) this.#one(source, pythonPackage);
    for (const path of rpmDatabases) {
      if (rooted(this.#root).stat(path)?.type === "file")
        this.#notes.push(`${path} was not read: databases of rpm are not implemented`);
    }
    if (this.#unnamed > 0) this.#notes.push(`${this.#unnamed} entries without a name or a version were left out`);
    const packages = this.#packages.toSorted((a, b) => byBytes(orderOf(a), orderOf(b)));
    return { release, packages, notes: [...new Set(this.#notes)] };
  }

  #dpkg(release: Release, single: readonly string[]): void {
    const licenses = (name: string): string[] => {
      if (/[^a-z0-9.+-]/.test(name)) return [];
      return copyrightLicenses(this.#text(`/usr/share/doc/${name}/copyright`, copyrightLimit) ?? "");
    };
    const files = [[dpkgStatus, databaseLimit] as const, ...single.map((path) => [path, fileLimit] as const)];
    for (const [source, limit] of files) {
      const text = this.#text(source, limit);
      if (text !== undefined) this.#add(dpkgPackages(text, { source, release, licenses }));
    }
  }

  #one(source: string, parse: (text: string, source: string) => Package | undefined): void {
    this.#context.check();
    const text = this.#text(source);
    if (text === undefined) return;
    try {
      const found = parse(text, source);
      if (found) this.#add([found]);
    } catch (err) {
      this.#notes.push(`${source} was not read: ${messageOf(err).slice(0, 200)}`);
    }
  }

  #add(found: Iterable<Package | undefined>): void {
    for (const one of found) {
      this.#context.check();
      if (!one) this.#unnamed++;
      else if (this.#packages.length < this.#limits.packages) this.#packages.push(one);
      else {
        this.#notes.push(`only the first ${this.#limits.packages} packages are listed`);
        return;
      }
    }
  }

  /** undefined when there is no such file, or when it cannot be read, which is noted. */
  #text(path: string, limit = fileLimit): string | undefined {
    try {
      const bytes = rooted(this.#root).readFile(path, limit);
      return bytes && new TextDecoder().decode(bytes);
    } catch (err) {
      this.#notes.push(`${path} was not read: ${messageOf(err).slice(0, 200)}`);
      return undefined;
    }
  }

  /** Files whose places are not known, in byte order; links are not followed. */
  #find(): Found {
    const found: Found = { dpkg: [], npm: [], python: [] };
    let left = this.#limits.entries;
    let ended: EngineError | undefined;
    const count = (isTooDeep = false) => {
      if (left-- > 0 && !isTooDeep) return;
      const why = isTooDeep ? `directories lie deeper than ${maxDepth}` : `there are more than ${this.#limits.entries}`;
      ended = new EngineError("invalid", `not all files were looked through: ${why}`);
      throw ended;
    };
    const visitor: Visitor = {
      enter: ({ path }) => count(path.split("/").length > maxDepth),
      leaf: ({ path, stat }) => {
        count();
        if (stat.isFile()) sort(found, `/${shown(path)}`);
      },
      leave: () => undefined,
    };
    try {
      confined(this.#root, () => walk("/", { exclude: [], context: this.#context, visitor }));
    } catch (err) {
      if (err !== ended) throw err;
      this.#notes.push(messageOf(err));
    }
    return found;
  }
}

interface Found {
  readonly dpkg: string[];
  readonly npm: string[];
  readonly python: string[];
}

function sort(found: Found, path: string): void {
  if (path.startsWith(`${dpkgDirectory}/`)) {
    if (!path.slice(dpkgDirectory.length + 1).includes("/") && !path.endsWith(".md5sums")) found.dpkg.push(path);
  } else if (/\/node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/.test(path)) found.npm.push(path);
  else if (/\.dist-info\/METADATA$/.test(path)) found.python.push(path);
}

function orderOf({ type, name, version, source }: Package): string {
  return [type, name, version, source].join("\0");
}
