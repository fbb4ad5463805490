import { distroOf, isName, type Package, purlOf, type Release } from "./package.ts";
import { type Paragraph, paragraphs } from "./paragraphs.ts";

/** Package, Version, Architecture, License, origin, maintainer (wiki.alpinelinux.org, "Apk spec"). */
const wanted = new Set(["P", "V", "A", "L", "o", "m"]);

export interface ApkOptions {
  readonly source: string;
  readonly release: Release;
}

/** What is installed according to apk's database. */
export function* apkPackages(text: string, options: ApkOptions): Generator<Package | undefined> {
  for (const paragraph of paragraphs(text, wanted)) yield packageOf(paragraph, options);
}

function packageOf(fields: Paragraph, { source, release }: ApkOptions): Package | undefined {
  const [name, version, origin] = [fields.get("P"), fields.get("V"), fields.get("o")];
  if (!isName(name) || !isName(version)) return undefined;
  const [license, supplier] = [fields.get("L"), fields.get("m")];
  const qualifiers = {
    arch: fields.get("A"),
    distro: distroOf(release),
    upstream: origin === name ? undefined : origin,
  };
  const purl = purlOf({ type: "apk", namespace: release.id, name, version, qualifiers });
  const licenses = isName(license) ? [license] : [];
  return { type: "apk", name, version, purl, licenses, source, ...(isName(supplier) && { supplier }) };
}
