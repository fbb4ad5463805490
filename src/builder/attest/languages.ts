import { isName, type Package, purlOf } from "./package.ts";
import { paragraphs } from "./paragraphs.ts";

/** A `package.json` in `node_modules`; undefined when it names no package (docs.npmjs.com, "package.json"). Throws for what is no JSON. */
export function npmPackage(text: string, source: string): Package | undefined {
  const json: unknown = JSON.parse(text);
  if (typeof json !== "object" || json === null) return undefined;
  const { name, version, license, licenses } = json as Readonly<Record<string, unknown>>;
  const [full, exact] = [textOf(name), textOf(version)];
  if (!isName(full) || !isName(exact)) return undefined;
  const [scope, own] = full.startsWith("@") && full.includes("/") ? full.split("/", 2) : [undefined, full];
  const all = Array.isArray(licenses) ? licenses.slice(0, 20) : [];
  const named = [license, ...all].flatMap((one) => textOf(one) ?? typeOf(one) ?? []).filter(isName);
  const purl = purlOf({ type: "npm", namespace: scope, name: own ?? full, version: exact });
  return { type: "npm", name: full, version: exact, purl, licenses: named, source };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** `{"type": "MIT", "url": …}`, as it was once written. */
function typeOf(value: unknown): string | undefined {
  return typeof value === "object" && value !== null ? textOf((value as { type?: unknown }).type) : undefined;
}

const metadata = new Set(["Name", "Version", "License", "License-Expression", "Author", "Author-email"]);
/** More is the licence itself, not its name. */
const licenseName = 100;

/** The METADATA of a `.dist-info` (packaging.python.org, "Core metadata"); undefined when it names no package. */
export function pythonPackage(text: string, source: string): Package | undefined {
  const [fields] = paragraphs(text, metadata);
  const [name, version] = [fields?.get("Name"), fields?.get("Version")];
  if (!isName(name) || !isName(version)) return undefined;
  const license = fields?.get("License-Expression") ?? fields?.get("License");
  const supplier = fields?.get("Author-email") || fields?.get("Author");
  const known = isName(license) && license.length <= licenseName && license !== "UNKNOWN" ? [license] : [];
  const purl = purlOf({ type: "pypi", name: name.toLowerCase().replace(/[-_.]+/g, "-"), version });
  return { type: "python", name, version, purl, licenses: known, source, ...(isName(supplier) && { supplier }) };
}
