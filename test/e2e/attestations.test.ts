import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { type Registry, startRegistry } from "../support/registry.ts";

let registry: Registry;
let engine: Engine;
beforeAll(async () => {
  registry = await startRegistry();
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const files = {
  Dockerfile: [
    "FROM busybox",
    "ARG KEY",
    "RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null && mkdir -p /lib/apk/db",
    "COPY os-release /etc/os-release",
    "COPY installed /lib/apk/db/installed",
  ].join("\n"),
  "os-release": "ID=alpine\nVERSION_ID=3.19.1\n",
  installed: "P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\n\n",
  "../token": "very secret",
};
const musl = "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1";

let contexts = 0;
function context(): string {
  const directory = `${engine.directory}/c${contexts++}/context`;
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(`${directory}/${name}`), { recursive: true });
    writeFileSync(`${directory}/${name}`, text);
  }
  return directory;
}

const berth = (...argv: string[]) => cli("berth", engine.host, argv);

async function build(...argv: string[]): Promise<string> {
  const directory = context();
  const secret = `id=token,src=${dirname(directory)}/token`;
  const built = await berth("build", "-q", "--secret", secret, "--build-arg", "KEY=value", ...argv, directory);
  expect(built).toMatchObject({ code: 0 });
  return built.stdout.trim();
}

async function shown(name: string, ...argv: string[]) {
  const { code, stdout, stderr } = await berth("image", "attestations", ...argv, name);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

describe("an image with --sbom and --provenance", () => {
  let name: string;
  beforeAll(async () => {
    name = `${registry.host}/team/said:1`;
    await build("-t", name, "--sbom", "--provenance=mode=max");
  });

  test("says what is in it and what it was made from, but no secret", async () => {
    expect((await shown(name)).split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["TYPE", "PREDICATE", "CONTENTS"],
      ["provenance", "https://slsa.dev/provenance/v1", "1 materials"],
      ["sbom", "https://spdx.dev/Document", "1 packages"],
      [""],
    ]);
    const sbom = JSON.parse(await shown(name, "--type", "sbom"));
    expect(sbom.packages[1]).toMatchObject({ licenseDeclared: "MIT", externalRefs: [{ referenceLocator: musl }] });
    const text = await shown(name, "--json");
    expect(text).toContain('"build-arg:KEY": "value"');
    expect(text).toContain('"id": "token"');
    for (const secret of [files["../token"], Buffer.from(files["../token"]).toString("base64")])
      expect(text).not.toContain(secret);
    expect(JSON.parse(text)[0].predicate.buildDefinition.resolvedDependencies).toEqual([
      {
        uri: expect.stringMatching(/^pkg:docker\/busybox@latest\?platform=linux%2F/),
        digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    ]);
  });

  test("is pushed with referrers, about the manifest that is there", async () => {
    const pushed = await engine.ok("push", name);
    const digest = /1: digest: (sha256:[0-9a-f]{64})/.exec(pushed)?.[1] ?? "";
    const url = `http://${registry.host}/v2/team/said`;
    const listed = async (query: string) =>
      ((await (await fetch(`${url}/referrers/${digest}${query}`)).json()) as { manifests: Referrer[] }).manifests;
    const all = await listed("?artifactType=application/vnd.in-toto%2Bjson");
    expect(all.map(({ annotations }) => annotations["in-toto.io/predicate-type"]).sort()).toEqual([
      "https://slsa.dev/provenance/v1",
      "https://spdx.dev/Document",
    ]);
    expect(await listed("?artifactType=application/x")).toEqual([]);
    for (const one of all) {
      const manifest = (await (await fetch(`${url}/manifests/${one.digest}`)).json()) as Manifest;
      const statement = (await (await fetch(`${url}/blobs/${manifest.layers[0]?.digest}`)).json()) as Statement;
      expect([manifest.subject.digest, statement.subject[0]?.digest.sha256]).toEqual([digest, digest.slice(7)]);
    }
    await engine.ok("push", name);
    expect(await listed("")).toHaveLength(2);
  });

  test("keeps what is said about it by save and load, and loses it with the image", async () => {
    const [before, archive] = [await shown(name, "--json"), `${engine.directory}/said.tar`];
    await engine.ok("save", "-o", archive, name);
    await engine.ok("rmi", "-f", name);
    await expect(shown(name)).rejects.toThrow("No such image");
    const loaded = await cli("docker", engine.host, ["load"], { stdin: readFileSync(archive) });
    expect(loaded.stdout).toContain(`Loaded image: ${name}`);
    expect(await shown(name, "--json")).toBe(before);
  });

  test("goes into an archive of the build with it", async () => {
    const dest = `${engine.directory}/out.tar`;
    await build("-t", "out:1", "--provenance=version=v0.2", "-o", `type=oci,dest=${dest}`);
    await engine.ok("rmi", "out:1");
    await engine.ok("load", "-i", dest);
    expect(await shown("out:1")).toContain("https://slsa.dev/provenance/v0.2");
  });
});

interface Referrer {
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly subject: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

interface Statement {
  readonly subject: readonly { readonly digest: { readonly sha256: string } }[];
}

test("the same input gives the same SBOM", async () => {
  const said: string[] = [];
  for (let time = 0; time < 2; time++) {
    await build("-t", "same", "--no-cache", "--sbom", "--build-arg", "SOURCE_DATE_EPOCH=1700000000");
    said.push(await shown("same", "--type", "sbom"));
  }
  expect(said[1]).toBe(said[0] ?? "");
  expect(said[0]).toContain('"created": "2023-11-14T22:13:20Z"');
});

test("what nobody asked for is not there, and what is not written is refused by name", async () => {
  await build("-t", "plain");
  expect(await shown("plain")).toBe("TYPE      PREDICATE   CONTENTS\n");
  await expect(shown("plain", "--type", "sbom")).rejects.toThrow("plain has no sbom: build it with --sbom");
  const query = new URLSearchParams({ attest: '["type=sbom,generator=docker/scout"]' });
  const socket = engine.host.replace("unix://", "");
  const answer = await fetch(`http://berth/build?${query}`, { method: "POST", unix: socket, body: "" });
  expect([answer.status, await answer.text()]).toEqual([
    501,
    expect.stringContaining("generator of the attestation sbom is not implemented by Berth"),
  ]);
});
