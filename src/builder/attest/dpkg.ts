import { distroOf, isName, type Package, purlOf, type Release } from "./package.ts";
import { type Paragraph, paragraphs } from "./paragraphs.ts";

const wanted = new Set(["Package", "Status", "Version", "Architecture", "Source", "Maintainer"]);

export interface DpkgOptions {
  readonly source: string;
  readonly release: Release;
  /** Of a package, as its copyright file has them. */
  readonly licenses: (name: string) => readonly string[];
}

/** What is installed according to dpkg's `status`, or to one file of `status.d` as images without dpkg have them (deb-control(5), dpkg-query(1)). */
export function* dpkgPackages(text: string, options: DpkgOptions): Generator<Package | undefined> {
  for (const paragraph of paragraphs(text, wanted)) {
    const status = paragraph.get("Status");
    if (status === undefined || status.split(/\s+/)[2] === "installed") yield packageOf(paragraph, options);
  }
}

/** undefined for what has no name or no version. */
function packageOf(fields: Paragraph, { source, release, licenses }: DpkgOptions): Package | undefined {
  const [name, version] = [fields.get("Package"), fields.get("Version")];
  if (!isName(name) || !isName(version)) return undefined;
  const supplier = fields.get("Maintainer");
  const qualifiers = {
    arch: fields.get("Architecture"),
    distro: distroOf(release),
    upstream: upstreamOf(fields.get("Source")),
  };
  const purl = purlOf({ type: "deb", namespace: release.id, name, version, qualifiers });
  return { type: "deb", name, version, purl, licenses: licenses(name), source, ...(isName(supplier) && { supplier }) };
}

/** `glibc (2.36-9)` is `glibc@2.36-9`. */
function upstreamOf(source: string | undefined): string | undefined {
  const [, name, version] = /^(\S+)(?:\s+\((\S+)\))?$/.exec(source ?? "") ?? [];
  return version === undefined ? name : `${name}@${version}`;
}

/** The licences that a Debian copyright file names, by itself or by a file of /usr/share/common-licenses (DEP-5). */
export function copyrightLicenses(text: string): string[] {
  const named = [...text.matchAll(/^License: *(\S[^\n]{0,200})$/gm)].map(([, name = ""]) => name.trim());
  const common = [...text.matchAll(/\/usr\/share\/common-licenses\/([A-Za-z0-9.-]{1,60})/g)];
  const names = common.map(([, name = ""]) => name.replace(/[.-]+$/, ""));
  return [...new Set(named.length > 0 ? named : names)].sort();
}
