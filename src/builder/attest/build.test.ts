import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import type { Image } from "../../images/mod.ts";
import { archive } from "../../layers/testing/store.ts";
import { fromBuffer } from "../../stream/mod.ts";
import type { BuildOptions } from "../builder.ts";
import { buildOptions, openEngine, type TestEngine } from "../testing/engine.ts";

let engine: TestEngine;
beforeAll(async () => {
  engine = await openEngine({
    process: () => 0,
    fetchUrl: () => ({ status: 200, statusText: "OK", headers: new Headers(), bytes: fromBuffer("web") }),
  });
  await engine.image("base", { tar: await archive("etc/", { name: "etc/passwd", text: "app:x:1000:1000::/:\n" }) });
});
afterAll(() => engine[Symbol.asyncDispose]());

function built(files: Readonly<Record<string, string>> | string, more: Partial<BuildOptions>): Promise<Image> {
  const all = typeof files === "string" ? { Dockerfile: files } : files;
  return engine.builder.build(engine.context(all), buildOptions(more));
}

describe("attestations", () => {
  const provenance = { mode: "max", version: "v1", reproducible: false, inlineOnly: false } as const;
  const said = async (image: Image) =>
    (await engine.images.attestations(image.id)).map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()));

  test("say what is in an image and what it was made from", async () => {
    const dockerfile = [
      "FROM base AS unused",
      "FROM base",
      "ARG KEY",
      "RUN --mount=type=secret,id=token true",
      "ADD http://u:p@h/f?q=1 /f",
      "COPY os-release /etc/os-release",
      "COPY status /var/lib/dpkg/status",
    ].join("\n");
    const files = { "os-release": "ID=debian\n", status: "Package: p\nStatus: install ok installed\nVersion: 1\n" };
    const args = { KEY: "value", HTTPS_PROXY: "http://u:p@proxy", UNSET: null };
    const attest = { sbom: true, provenance, vcs: { revision: "r" } };
    const image = await built({ Dockerfile: dockerfile, ...files }, { attest, args, tags: ["said:1"] });
    const [slsa, spdx] = await said(image);
    const { digest } = engine.images.manifest(image);
    expect(slsa).toMatchObject({
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "https://slsa.dev/provenance/v1",
    });
    for (const { subject } of [slsa, spdx]) {
      const name = "pkg:docker/said@1?platform=linux%2Famd64";
      expect(subject).toEqual([{ name, digest: { sha256: digest.slice("sha256:".length) } }]);
    }
    const { buildDefinition, runDetails } = slsa.predicate;
    expect(buildDefinition.externalParameters).toEqual({
      configSource: { path: "Dockerfile" },
      request: {
        frontend: "dockerfile.v0",
        args: { "build-arg:KEY": "value" },
        secrets: [{ id: "token", optional: true }],
        locals: [{ name: "context" }, { name: "dockerfile" }],
      },
    });
    const base = engine.images.manifest(engine.images.get("base")).digest;
    expect(buildDefinition.resolvedDependencies).toEqual([
      { uri: "http://h/f?q=1", digest: { sha256: Bun.SHA256.hash("web", "hex") } },
      { uri: "pkg:docker/base@latest?platform=linux%2Famd64", digest: { sha256: base.slice("sha256:".length) } },
    ]);
    expect(buildDefinition.internalParameters.buildConfig.steps.map(({ id }: { id: string }) => id)).toHaveLength(5);
    expect(runDetails.metadata.buildkit_metadata).toMatchObject({
      vcs: { revision: "r" },
      source: { infos: [{ data: Buffer.from(dockerfile).toString("base64") }] },
    });
    expect(spdx.predicateType).toBe("https://spdx.dev/Document");
    expect(spdx.predicate).toMatchObject({
      name: "said:1",
      creationInfo: { created: image.config.created?.replace(/\.\d+Z/, "Z") },
    });
    expect(spdx.predicate.packages[1].externalRefs[0].referenceLocator).toBe("pkg:deb/debian/p@1?distro=debian");
  });

  test("that fail leave no image, unless it was here before; what is not scanned is refused", async () => {
    const text = "FROM base\nLABEL said=nothing";
    const stopped = async () => {
      using _ = spyOn(engine.images, "attest").mockRejectedValue(new Error("left"));
      return await built(text, { attest: { sbom: true } });
    };
    const before = engine.images.ids();
    expect(await stopped().then(() => "", String)).toContain("left");
    expect(engine.images.ids()).toEqual(before);
    const image = await built(text, {});
    expect(await stopped().then(() => "", String)).toContain("left");
    expect(engine.images.find(image.id)).toBeDefined();
    const scans: [string, Partial<BuildOptions>][] = [
      ["FROM base", { args: { BUILDKIT_SBOM_SCAN_STAGE: "base" } }],
      ["ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nFROM base", {}],
    ];
    for (const [asked, more] of scans) {
      expect(await built(asked, { attest: { sbom: true }, ...more }).then(() => "", String)).toContain(
        "is not implemented",
      );
      await built(asked, more);
    }
    await built("FROM base\nARG BUILDKIT_SBOM_SCAN_STAGE=false", { attest: { sbom: true } });
  });

  test("are kept by the image's own build only as they were last said, and not asked for not said", async () => {
    const text = "FROM base\nLABEL said=again";
    const image = await built(text, {});
    expect(await said(image)).toEqual([]);
    await built(text, { attest: { sbom: true } });
    const first = await said(image);
    await built(text, { attest: { sbom: true, provenance } });
    expect(await said(image)).toEqual([expect.anything(), ...first]);
  });
});
