import { createHash } from "node:crypto";
import { type ExtractedLicenses, licenseExpression } from "./licenses.ts";
import type { Package } from "./package.ts";
import type { Scan } from "./scan.ts";

/** What the document is about, and who wrote it. */
export interface SpdxSubject {
  /** Id of the image, `sha256:…`. */
  readonly image: string;
  readonly name: string;
  /** When the image was created, as in its config. */
  readonly created: string;
  /** Such as `berth-0.1.0`. */
  readonly tool: string;
}

const none = "NOASSERTION";
const documentId = "SPDXRef-DOCUMENT";
const rootId = "SPDXRef-DocumentRoot-Image";

/** The predicate type of an SPDX document (in-toto attestation framework, `spec/predicates/spdx.md`). */
export const spdxPredicate = "https://spdx.dev/Document";

/** An SPDX 2.3 document: the image contains its packages. The same scan of the same image gives the same document. */
export function spdxDocument({ packages, notes }: Scan, subject: SpdxSubject): object {
  const extracted: ExtractedLicenses = new Map();
  const listed = new Map(packages.map((one) => [elementId(one), packageElement(one, extracted)] as const));
  const created = `${new Date(subject.created || 0).toISOString().slice(0, 19)}Z`;
  const annotation = { annotationDate: created, annotationType: "OTHER", annotator: `Tool: ${subject.tool}` };
  const elements = [rootElement(subject), ...listed.values()];
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: documentId,
    name: subject.name,
    documentNamespace: namespaceOf(subject, elements),
    creationInfo: { created, creators: [`Tool: ${subject.tool}`] },
    packages: elements,
    ...(notes.length > 0 && { annotations: notes.map((comment) => ({ ...annotation, comment })) }),
    ...(extracted.size > 0 && { hasExtractedLicensingInfos: [...extracted].sort(byId).map(extractedInfo) }),
    relationships: [
      { spdxElementId: documentId, relationshipType: "DESCRIBES", relatedSpdxElement: rootId },
      ...[...listed.keys()].map((id) => ({
        spdxElementId: rootId,
        relationshipType: "CONTAINS",
        relatedSpdxElement: id,
      })),
    ],
  };
}

/** Another one for each image, and for what another version of the scanner finds in it (SPDX 2.3, 6.5). */
function namespaceOf({ image, tool }: SpdxSubject, elements: readonly object[]): string {
  const found = createHash("sha256")
    .update(JSON.stringify([tool, elements]))
    .digest("hex")
    .slice(0, 16);
  return `https://spdx.org/spdxdocs/image-${image.replace(":", "-")}-${found}`;
}

function rootElement({ name, image }: SpdxSubject) {
  return {
    name,
    SPDXID: rootId,
    versionInfo: image,
    supplier: none,
    downloadLocation: none,
    filesAnalyzed: false,
    licenseConcluded: none,
    licenseDeclared: none,
    copyrightText: none,
    primaryPackagePurpose: "CONTAINER",
  };
}

const databases = {
  apk: "APK DB",
  deb: "DPKG DB",
  npm: "installed node module manifest file",
  python: "installed python package manifest file",
};

function packageElement(one: Package, extracted: ExtractedLicenses) {
  return {
    name: one.name,
    SPDXID: elementId(one),
    versionInfo: one.version,
    supplier: one.supplier === undefined ? none : person(one.supplier),
    downloadLocation: none,
    filesAnalyzed: false,
    sourceInfo: `acquired package info from ${databases[one.type]}: ${one.source}`,
    licenseConcluded: none,
    licenseDeclared: licenseExpression(one.licenses, extracted),
    copyrightText: none,
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: one.purl }],
  };
}

function elementId({ type, name, purl, source }: Package): string {
  const own = createHash("sha256").update(`${purl}\0${source}`).digest("hex").slice(0, 16);
  return `SPDXRef-Package-${type}-${name.replace(/[^A-Za-z0-9.-]+/g, "-").slice(0, 100)}-${own}`;
}

/** `Name <mail>` is `Person: Name (mail)` (SPDX 2.3, 7.5). */
function person(text: string): string {
  const [, name = "", mail] = /^([^<>]*?)\s*<([^<>\s]+)>/.exec(text) ?? [];
  if (mail === undefined) return `Person: ${text}`;
  return name === "" ? `Person: ${mail}` : `Person: ${name} (${mail})`;
}

function byId([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

function extractedInfo([licenseId, extractedText]: readonly [string, string]) {
  return { licenseId, extractedText, name: extractedText };
}
