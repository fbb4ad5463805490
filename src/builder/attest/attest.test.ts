import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createWorkers, streamJob } from "../../host/mod.ts";
import { collect } from "../../stream/mod.ts";
import { sbomJob } from "./job.ts";
import { licenseExpression } from "./licenses.ts";
import { gitMaterial, withoutCredentials } from "./materials.ts";
import { parseRelease } from "./os-release.ts";
import { type BuildFacts, provenance } from "./provenance.ts";

const top = mkdtempSync(join(tmpdir(), "berth-attest-"));
const workers = createWorkers({ size: 1 });
afterAll(async () => {
  await workers[Symbol.asyncDispose]();
  rmSync(top, { recursive: true, force: true });
});

const image = `sha256:${"a".repeat(64)}`;
const subject = { image, name: "app:1", created: "2024-05-06T07:08:09.123Z", tool: "berth-test" };

interface Document {
  readonly packages: readonly {
    name: string;
    versionInfo: string;
    licenseDeclared: string;
    supplier: string;
    sourceInfo: string;
    externalRefs: { referenceLocator: string }[];
  }[];
  readonly annotations?: readonly { comment: string }[];
  readonly hasExtractedLicensingInfos?: readonly { licenseId: string; extractedText: string }[];
  readonly relationships: readonly unknown[];
  readonly documentNamespace: string;
}

async function sbomText(root: string): Promise<string> {
  const { bytes } = streamJob(workers, sbomJob, { input: { root, subject } });
  return (await collect(bytes, 100_000_000)).toString();
}

let roots = 0;
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = join(top, `r${roots++}`);
  mkdirSync(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

async function sbom(files: Readonly<Record<string, string>> | string): Promise<Document> {
  return JSON.parse(await sbomText(typeof files === "string" ? files : rootWith(files))) as Document;
}

/** Purls and licences of what was found, without the image itself. */
const found = ({ packages }: Document) =>
  packages.slice(1).map((one) => `${one.externalRefs[0]?.referenceLocator} ${one.licenseDeclared}`);
const notes = ({ annotations }: Document) => (annotations ?? []).map(({ comment }) => comment);

const debian = {
  "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
  "var/lib/dpkg/status": [
    "Package: libc6\nStatus: install ok installed\nMaintainer: GNU Libc Maintainers <glibc@debian.org>\nArchitecture: amd64",
    "Source: glibc (2.36-9)\nVersion: 2.36-9+deb12u1\nDescription: C library\n that has\n .\n Version: none\n\n",
    "Package: login\nStatus: install ok installed\nArchitecture: amd64\nSource: shadow\nVersion: 1:4.13+dfsg1-1\n\n",
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: nameless\nStatus: install ok installed\n",
  ].join("\n"),
  "usr/share/doc/libc6/copyright":
    "Files: *\nLicense: LGPL-2.1+\n\nFiles: x\nLicense: GPL-2+ or Artistic\n\nLicense: Odd thing\n text",
  "usr/share/doc/login/copyright": "see /usr/share/common-licenses/GPL-2.",
};

describe("packages of", () => {
  test("dpkg, with the licences of their copyright files", async () => {
    const document = await sbom(debian);
    expect(found(document)).toEqual([
      "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=glibc%402.36-9 (GPL-2.0-or-later OR Artistic-1.0-Perl) AND LGPL-2.1-or-later AND LicenseRef-Odd-thing",
      "pkg:deb/debian/login@1%3A4.13%2Bdfsg1-1?arch=amd64&distro=debian-12&upstream=shadow GPL-2.0-only",
    ]);
    expect(document.packages[1]).toMatchObject({
      name: "libc6",
      versionInfo: "2.36-9+deb12u1",
      supplier: "Person: GNU Libc Maintainers (glibc@debian.org)",
      sourceInfo: "acquired package info from DPKG DB: /var/lib/dpkg/status",
    });
    expect(document.hasExtractedLicensingInfos).toEqual([
      { licenseId: "LicenseRef-Odd-thing", extractedText: "Odd thing", name: "Odd thing" } as never,
    ]);
    expect(notes(document)).toEqual(["1 entries without a name or a version were left out"]);
  });
  test("dpkg in an image without it", async () => {
    const document = await sbom({
      "usr/lib/os-release": "ID=debian\n",
      "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
      "var/lib/dpkg/status.d/base.md5sums": "Package: no\nVersion: 1\n",
    });
    expect(found(document)).toEqual(["pkg:deb/debian/base-files@12?arch=amd64&distro=debian NOASSERTION"]);
  });
  test("apk", async () => {
    const document = await sbom({
      "etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\n",
      "lib/apk/db/installed":
        "C:Q1x\nP:musl-utils\nV:1.2.4_git-r4\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\nm:Timo <t@a.org>\nF:sbin\nR:ldconfig\n\nP:zlib\nV:1\nA:x86_64\nL:zlib\no:zlib\n\n",
    });
    expect(found(document)).toEqual([
      "pkg:apk/alpine/musl-utils@1.2.4_git-r4?arch=x86_64&distro=alpine-3.19.1&upstream=musl MIT AND BSD-2-Clause",
      "pkg:apk/alpine/zlib@1?arch=x86_64&distro=alpine-3.19.1 Zlib",
    ]);
  });
  test("npm and python, wherever they lie", async () => {
    const document = await sbom({
      "app/package.json": '{"name": "app", "version": "1"}',
      "app/node_modules/left-pad/package.json": '{"name": "left-pad", "version": "1.3.0", "license": "WTFPL"}',
      "app/node_modules/left-pad/lib/package.json": '{"name": "inner", "version": "1"}',
      "app/node_modules/@a/b/package.json": '{"name": "@a/b", "version": "2.0.0-rc+1", "licenses": [{"type": "MIT"}]}',
      "app/node_modules/broken/package.json": "{",
      "app/node_modules/list/package.json": "[]",
      "usr/lib/python3/site-packages/Ruamel.Yaml-1.0.dist-info/METADATA":
        "Metadata-Version: 2.1\nName: Ruamel.Yaml\nVersion: 1.0\nLicense: MIT\nAuthor: A\n\nName: other\nVersion: 2\n",
    });
    expect(found(document)).toEqual([
      "pkg:npm/%40a/b@2.0.0-rc%2B1 MIT",
      "pkg:npm/left-pad@1.3.0 WTFPL",
      "pkg:pypi/ruamel-yaml@1.0 MIT",
    ]);
    expect(notes(document)).toEqual([
      expect.stringMatching(/^\/app\/node_modules\/broken\/package.json was not read: /),
    ]);
  });
  test("rpm are not read, which is said", async () => {
    const document = await sbom({ "var/lib/rpm/rpmdb.sqlite": "SQLite" });
    expect(found(document)).toEqual([]);
    expect(notes(document)).toEqual(["/var/lib/rpm/rpmdb.sqlite was not read: databases of rpm are not implemented"]);
  });
});

test("the same files give the same document; what is found tells namespaces apart", async () => {
  const [first, second] = [await sbomText(rootWith(debian)), await sbomText(rootWith(debian))];
  expect(second).toBe(first);
  expect(JSON.parse(first)).toMatchObject({
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: "app:1",
    creationInfo: { created: "2024-05-06T07:08:09Z", creators: ["Tool: berth-test"] },
  });
  const [some, none] = [await sbom(debian), await sbom({})];
  expect(some.documentNamespace).toStartWith(`https://spdx.org/spdxdocs/image-sha256-${"a".repeat(64)}-`);
  expect(some.documentNamespace).not.toBe(none.documentNamespace);
  expect(none.relationships).toHaveLength(1);
  expect(some.relationships).toHaveLength(3);
});

describe("hostile files:", () => {
  test("links do not lead out of the image", async () => {
    const outside = rootWith(debian);
    const root = rootWith({ "etc/x": "" });
    mkdirSync(join(root, "var/lib"), { recursive: true });
    symlinkSync(join(outside, "var/lib/dpkg"), join(root, "var/lib/dpkg"));
    symlinkSync("../../../../../../../../etc/os-release", join(root, "etc/os-release"));
    symlinkSync(outside, join(root, "node_modules"));
    expect(found(await sbom(root))).toEqual([]);
  });
  test("a link inside it is followed as a process there would", async () => {
    const root = rootWith({ "data/status": debian["var/lib/dpkg/status"] });
    mkdirSync(join(root, "var/lib/dpkg"), { recursive: true });
    symlinkSync("/data/status", join(root, "var/lib/dpkg/status"));
    expect(found(await sbom(root))).toHaveLength(2);
  });
  test("FIFOs and directories in the place of files, and loops of links", async () => {
    const root = rootWith({ "var/lib/dpkg/status/x": "" });
    mkdirSync(join(root, "lib/apk/db"), { recursive: true });
    Bun.spawnSync(["mkfifo", join(root, "lib/apk/db/installed")]);
    mkdirSync(join(root, "etc"));
    symlinkSync("os-release", join(root, "etc/os-release"));
    expect(found(await sbom(root))).toEqual([]);
  });
  test("lines, names and files that are too long, bytes that are no text", async () => {
    const long = "x".repeat(2_000_000);
    const root = rootWith({
      "lib/apk/db/installed": `P:${long}\nV:1\n\nP:ok\nV:1\nL:${long}\nm:${long}\n\n${long}`,
      "node_modules/big/package.json": `{"name": "big", "version": "1", "x": "${long}"}`,
    });
    writeFileSync(join(root, "var"), "");
    mkdirSync(join(root, "n/node_modules/odd"), { recursive: true });
    writeFileSync(
      join(root, "n/node_modules/odd/package.json"),
      '{"name": "\\ud800", "version": "1", "__proto__": {"a": 1}}',
    );
    const document = await sbom(root);
    expect(found(document)).toEqual(["pkg:apk/ok@1 NOASSERTION"]);
    expect(notes(document)).toEqual([
      expect.stringContaining("/node_modules/big/package.json was not read: "),
      "2 entries without a name or a version were left out",
    ]);
  });
  test("a tree that is too deep is not looked through to its end, and says so", async () => {
    const root = rootWith({ [`${"d/".repeat(80)}node_modules/a/package.json`]: '{"name": "a", "version": "1"}' });
    const document = await sbom(root);
    expect(found(document)).toEqual([]);
    expect(notes(document)).toEqual(["not all files were looked through: directories lie deeper than 64"]);
  });
});

test.each([
  ["MIT", "MIT"],
  ["gpl-2+", "GPL-2.0-or-later"],
  ["(MIT OR Apache-2.0) AND ISC", "(MIT OR Apache-2.0) AND ISC"],
  ["GPL-2.0-or-later WITH GCC-exception-3.1", "GPL-2.0-or-later WITH GCC-exception-3.1"],
  ["Own", "LicenseRef-Own"],
  ["bsd-3-clause or Odd+", expect.stringMatching(/^BSD-3-Clause OR LicenseRef-Odd--[0-9a-f]{8}$/)],
  ["MIT with Odd", "LicenseRef-MIT-with-Odd"],
  ["MIT or", expect.stringMatching(/^LicenseRef-MIT-or$/)],
  ["((MIT)", expect.stringMatching(/^LicenseRef--MIT--[0-9a-f]{8}$/)],
])("the licence %s", (text, expected) => {
  expect(licenseExpression([text], new Map())).toEqual(expected);
});

test("licences that apply together are told once each", () => {
  expect(licenseExpression(["MIT and ISC", "ISC", "MIT or Zlib"], new Map())).toBe("MIT AND ISC AND (MIT OR Zlib)");
});

test("os-release takes plain words only", () => {
  expect(parseRelease("ID='a b'\nVERSION_ID=$(x)\n")).toEqual({});
  expect(parseRelease('NAME=x\nID="ubuntu"\nVERSION_ID="24.04"')).toEqual({ id: "ubuntu", versionId: "24.04" });
});

const facts: BuildFacts = {
  config: { path: "Dockerfile", uri: "https://h/r.tar?token=x" },
  args: { "build-arg:KEY": "value", "label:l": "1", target: "t" },
  secrets: [{ id: "s", optional: true }],
  materials: [{ uri: "https://h/f?token=x", digest: { sha256: "aa" } }],
  isComplete: false,
  builderPlatform: "linux/amd64",
  dockerfile: "FROM x",
  steps: [{ id: "step0", instruction: "FROM x", inputs: [] }],
  vcs: {},
  ...{ started: 0, finished: 1000, invocation: "i", version: "0" },
};

describe("provenance", () => {
  const request = { version: "v1", reproducible: false, inlineOnly: false } as const;

  test("min tells no arguments, no secrets and no Dockerfile", () => {
    expect(provenance(facts, { ...request, mode: "min" })).toEqual({
      buildDefinition: {
        buildType: "urn:berth:dockerfile-build:v1",
        externalParameters: {
          configSource: { path: "Dockerfile", uri: "https://h/r.tar" },
          request: { frontend: "dockerfile.v0", args: { target: "t" } },
        },
        internalParameters: { builderPlatform: "linux/amd64" },
        resolvedDependencies: [{ uri: "https://h/f", digest: { sha256: "aa" } }],
      },
      runDetails: {
        builder: { id: "urn:berth:builder", version: { berth: "0" } },
        metadata: {
          invocationId: "i",
          startedOn: "1970-01-01T00:00:00.000Z",
          finishedOn: "1970-01-01T00:00:01.000Z",
          buildkit_completeness: { request: false, resolvedDependencies: false },
          buildkit_reproducible: false,
        },
      },
    });
  });
  test("max tells them, in both versions", () => {
    const v1 = JSON.stringify(provenance(facts, { ...request, mode: "max", builderId: "urn:me" }));
    const old = JSON.stringify(provenance(facts, { ...request, mode: "max", version: "v0.2" }));
    for (const text of [v1, old]) {
      for (const part of ['"build-arg:KEY":"value"', '"id":"s"', "RlJPTSB4", '"instruction":"FROM x"', "?token=x"])
        expect(text).toContain(part);
    }
    expect(v1).toContain('"builder":{"id":"urn:me"');
    expect(old).toContain('"configSource":{"uri":"https://h/r.tar?token=x","entryPoint":"Dockerfile"}');
  });
  test("credentials of URLs are left out", () => {
    expect(withoutCredentials("https://user:p@ss@h/x@y")).toBe("https://h/x@y");
    expect(gitMaterial({ remote: "https://tok@h/r.git", ref: "v1", subdir: "d" }, "c".repeat(40))).toEqual({
      uri: "https://h/r.git#v1:d",
      digest: { sha1: "c".repeat(40) },
    });
  });
});
