import { describe, expect, test } from "bun:test";
import { request } from "node:http";
import { digestOf, mediaTypes } from "../oci/mod.ts";
import { rangeOf } from "./blobs.ts";
import { startRegistry } from "./testing/start.suite.ts";

const text = (value: unknown) => JSON.stringify(value);
const code = async (response: Response) => ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code;

async function push(url: string, repository: string, body: string) {
  const digest = digestOf(body);
  const response = await fetch(`${url}/v2/${repository}/blobs/uploads/?digest=${digest}`, { method: "POST", body });
  expect(response.status).toBe(201);
  return { digest, size: Buffer.byteLength(body) };
}

async function pushImage(url: string, repository: string, tag: string, extra: object = {}) {
  const config = { mediaType: mediaTypes.config, ...(await push(url, repository, "{}")) };
  const layer = { mediaType: mediaTypes.layer, ...(await push(url, repository, "layer")) };
  const body = text({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer], ...extra });
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    body,
    headers: { "Content-Type": mediaTypes.manifest },
  });
  return { response, body, digest: digestOf(body) };
}

/** fetch cleans paths; a hostile client does not. */
function rawStatus(url: string, path: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const { hostname, port } = new URL(url);
  request({ hostname, port, path, method: "GET" }, (answer) => {
    answer.resume();
    resolve(answer.statusCode ?? 0);
  })
    .on("error", reject)
    .end();
  return promise;
}

test("says which API it speaks", async () => {
  await using r = await startRegistry();
  const response = await fetch(`${r.url}/v2/`);
  expect([response.status, response.headers.get("docker-distribution-api-version")]).toEqual([200, "registry/2.0"]);
});

describe("blobs", () => {
  test("chunked upload, status, resume, ranges, delete", async () => {
    await using r = await startRegistry();
    const base = `${r.url}/v2/team/app/blobs`;
    const start = await fetch(`${base}/uploads/`, { method: "POST" });
    expect(start.status).toBe(202);
    const at = r.url + start.headers.get("location");
    const first = await fetch(at, { method: "PATCH", body: "hello ", headers: { "Content-Range": "0-5" } });
    expect([first.status, first.headers.get("range")]).toEqual([202, "0-5"]);
    const wrong = await fetch(at, { method: "PATCH", body: "x", headers: { "Content-Range": "9-9" } });
    expect([wrong.status, wrong.headers.get("range")]).toEqual([416, "0-5"]);
    const status = await fetch(at);
    expect([status.status, status.headers.get("range")]).toEqual([204, "0-5"]);
    const digest = digestOf("hello world");
    const end = await fetch(`${at}?digest=${digest}`, { method: "PUT", body: "world" });
    expect([end.status, end.headers.get("docker-content-digest")]).toEqual([201, digest]);
    expect((await fetch(at)).status).toBe(404);

    const head = await fetch(`${base}/${digest}`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "11", ""]);
    expect(await (await fetch(`${base}/${digest}`)).text()).toBe("hello world");
    const range = await fetch(`${base}/${digest}`, { headers: { Range: "bytes=6-" } });
    expect([range.status, range.headers.get("content-range"), await range.text()]).toEqual([
      206,
      "bytes 6-10/11",
      "world",
    ]);
    expect((await fetch(`${base}/${digest}`, { headers: { Range: "bytes=11-" } })).status).toBe(416);

    expect((await fetch(`${base}/${digest}`, { method: "DELETE" })).status).toBe(202);
    expect(await code(await fetch(`${base}/${digest}`))).toBe("BLOB_UNKNOWN");
    expect((await fetch(`${base}/${digest}`, { method: "DELETE" })).status).toBe(404);
    await r.collector.collect();
    expect([...r.content.list()]).toEqual([]);
  });
  test("a wrong digest leaves nothing", async () => {
    await using r = await startRegistry();
    const digest = digestOf("other");
    const mono = await fetch(`${r.url}/v2/a/blobs/uploads/?digest=${digest}`, { method: "POST", body: "body" });
    expect([mono.status, await code(mono)]).toEqual([400, "DIGEST_INVALID"]);
    const start = await fetch(`${r.url}/v2/a/blobs/uploads/`, { method: "POST" });
    const end = await fetch(`${r.url}${start.headers.get("location")}?digest=${digest}`, {
      method: "PUT",
      body: "body",
    });
    expect([end.status, await code(end)]).toEqual([400, "DIGEST_INVALID"]);
    await r.collector.collect();
    expect([...r.content.list()]).toEqual([]);
    expect((await fetch(`${r.url}/v2/a/blobs/uploads/?digest=md5:1`, { method: "POST" })).status).toBe(400);
  });
  test("uploads that nobody ends do not take every open file", async () => {
    await using r = await startRegistry();
    const begin = () => fetch(`${r.url}/v2/a/blobs/uploads/`, { method: "POST" });
    let last = await begin();
    const first = r.url + last.headers.get("location");
    for (let begun = 1; begun <= 1000; begun++) last = await begin();
    expect([last.status, await code(last)]).toEqual([429, "TOOMANYREQUESTS"]);
    await fetch(first, { method: "DELETE" });
    expect((await begin()).status).toBe(202);
  });

  test("an upload belongs to its repository and can be given up", async () => {
    await using r = await startRegistry();
    const location = (await fetch(`${r.url}/v2/a/blobs/uploads/`, { method: "POST" })).headers.get("location") ?? "";
    const elsewhere = location.replace("/v2/a/", "/v2/b/");
    expect(await code(await fetch(r.url + elsewhere, { method: "PATCH", body: "x" }))).toBe("BLOB_UPLOAD_UNKNOWN");
    expect((await fetch(r.url + location, { method: "DELETE" })).status).toBe(204);
    expect((await fetch(r.url + location, { method: "DELETE" })).status).toBe(404);
  });
  test("repositories are isolated, mounting connects them", async () => {
    await using r = await startRegistry();
    const { digest } = await push(r.url, "a", "secret");
    expect((await fetch(`${r.url}/v2/b/blobs/${digest}`)).status).toBe(404);
    const no = await fetch(`${r.url}/v2/b/blobs/uploads/?mount=${digest}&from=c`, { method: "POST" });
    expect(no.status).toBe(202);
    const yes = await fetch(`${r.url}/v2/b/blobs/uploads/?mount=${digest}&from=a`, { method: "POST" });
    expect([yes.status, yes.headers.get("location")]).toEqual([201, `/v2/b/blobs/${digest}`]);
    expect((await fetch(`${r.url}/v2/b/blobs/${digest}`)).status).toBe(200);
  });
  test("ranges", () => {
    expect(rangeOf("bytes=0-4", 10)).toEqual({ start: 0, end: 4 });
    expect(rangeOf("bytes=5-50", 10)).toEqual({ start: 5, end: 9 });
    expect(rangeOf("bytes=-3", 10)).toEqual({ start: 7, end: 9 });
    expect(rangeOf("bytes=-30", 10)).toEqual({ start: 0, end: 9 });
    expect(rangeOf("bytes=10-", 10)).toBe("unsatisfiable");
    expect(rangeOf("bytes=-0", 10)).toBe("unsatisfiable");
    for (const odd of [undefined, "bytes=-", "bytes=4-2", "lines=1-2", "bytes=0-1,3-4"]) {
      expect(rangeOf(odd, 10)).toBeUndefined();
    }
  });
});

describe("manifests", () => {
  test("by tag and digest, head, tags, catalog, delete", async () => {
    await using r = await startRegistry();
    const { response, body, digest } = await pushImage(r.url, "team/app", "v1");
    expect([response.status, response.headers.get("docker-content-digest")]).toEqual([201, digest]);
    for (const reference of ["v1", digest]) {
      const got = await fetch(`${r.url}/v2/team/app/manifests/${reference}`);
      expect([got.headers.get("content-type"), await got.text()]).toEqual([mediaTypes.manifest, body]);
      const head = await fetch(`${r.url}/v2/team/app/manifests/${reference}`, { method: "HEAD" });
      expect([head.headers.get("content-length"), head.headers.get("docker-content-digest")]).toEqual([
        `${body.length}`,
        digest,
      ]);
    }
    for (const tag of ["v2", "v3"]) await pushImage(r.url, "team/app", tag);
    await pushImage(r.url, "z", "v1");
    const page = await fetch(`${r.url}/v2/team/app/tags/list?n=2`);
    expect(await page.json()).toEqual({ name: "team/app", tags: ["v1", "v2"] });
    const link = page.headers.get("link") ?? "";
    expect(link).toBe(`</v2/team/app/tags/list?last=v2&n=2>; rel="next"`);
    const next = await fetch(r.url + link.slice(1, link.indexOf(">")));
    expect([await next.json(), next.headers.get("link")]).toEqual([{ name: "team/app", tags: ["v3"] }, null]);
    expect(await (await fetch(`${r.url}/v2/_catalog`)).json()).toEqual({ repositories: ["team/app", "z"] });
    expect((await fetch(`${r.url}/v2/_catalog?n=x`)).status).toBe(400);

    expect((await fetch(`${r.url}/v2/team/app/manifests/v1`, { method: "DELETE" })).status).toBe(202);
    expect((await fetch(`${r.url}/v2/team/app/manifests/v1`)).status).toBe(404);
    expect((await fetch(`${r.url}/v2/team/app/manifests/${digest}`, { method: "DELETE" })).status).toBe(202);
    expect(await (await fetch(`${r.url}/v2/team/app/tags/list`)).json()).toEqual({ name: "team/app", tags: [] });
    expect((await fetch(`${r.url}/v2/team/app/manifests/${digest}`, { method: "DELETE" })).status).toBe(404);
  });
  test("what they refer to must be there, with that size", async () => {
    await using r = await startRegistry();
    await push(r.url, "other", "layer");
    const config = { mediaType: mediaTypes.config, ...(await push(r.url, "a", "{}")) };
    const put = (layer: object, type: string = mediaTypes.manifest) =>
      fetch(`${r.url}/v2/a/manifests/x`, {
        method: "PUT",
        headers: { "Content-Type": type },
        body: text({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] }),
      });
    const layer = { mediaType: mediaTypes.layer, digest: digestOf("layer"), size: 5 };
    expect(await code(await put(layer))).toBe("MANIFEST_BLOB_UNKNOWN");
    await push(r.url, "a", "layer");
    expect(await code(await put({ ...layer, size: 6 }))).toBe("MANIFEST_BLOB_UNKNOWN");
    expect(await code(await put(layer, "text/plain"))).toBe("MANIFEST_INVALID");
    expect(await code(await put(layer, mediaTypes.index))).toBe("MANIFEST_INVALID");
    expect((await put(layer)).status).toBe(201);
    const index = (entry: object) =>
      fetch(`${r.url}/v2/a/manifests/list`, {
        method: "PUT",
        headers: { "Content-Type": mediaTypes.index },
        body: text({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [entry] }),
      });
    expect(await code(await index({ ...layer, mediaType: mediaTypes.manifest }))).toBe("MANIFEST_BLOB_UNKNOWN");
    expect((await index(layer)).status).toBe(201); // a build's cache
    expect(await code(await index({ ...layer, digest: digestOf("none") }))).toBe("MANIFEST_BLOB_UNKNOWN");
    const stored = r.tags.manifest("a", "x");
    expect((await index({ mediaType: mediaTypes.manifest, digest: stored?.digest, size: stored?.size })).status).toBe(
      201,
    );
  });
  test("refuses what is wrong", async () => {
    await using r = await startRegistry();
    const put = (reference: string, body: string) =>
      fetch(`${r.url}/v2/a/manifests/${reference}`, {
        method: "PUT",
        body,
        headers: { "Content-Type": mediaTypes.manifest },
      });
    expect(await code(await put("x", "{"))).toBe("MANIFEST_INVALID");
    expect(await code(await put("x", " ".repeat(4 * 1024 * 1024 + 1)))).toBe("MANIFEST_INVALID");
    expect(await code(await put(digestOf("y"), "{}"))).toBe("DIGEST_INVALID");
    expect(await code(await put("-x", "{}"))).toBe("TAG_INVALID");
    expect(await code(await put("sha512:12", "{}"))).toBe("DIGEST_INVALID");
    expect(await code(await fetch(`${r.url}/v2/a/manifests/x`))).toBe("MANIFEST_UNKNOWN");
    expect(await code(await fetch(`${r.url}/v2/a/tags/list`))).toBe("NAME_UNKNOWN");
  });
  test("referrers", async () => {
    await using r = await startRegistry();
    const { digest } = await pushImage(r.url, "a", "x");
    const subject = { mediaType: mediaTypes.manifest, digest, size: 1 };
    const sbom = await pushImage(r.url, "a", "sbom", { subject, artifactType: "x/sbom", annotations: { k: "v" } });
    expect(sbom.response.headers.get("oci-subject")).toBe(digest);
    const list = await fetch(`${r.url}/v2/a/referrers/${digest}`);
    expect(list.headers.get("content-type")).toBe(mediaTypes.index);
    expect(await list.json()).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [
        {
          mediaType: mediaTypes.manifest,
          digest: sbom.digest,
          size: sbom.body.length,
          artifactType: "x/sbom",
          annotations: { k: "v" },
        },
      ],
    });
    const filtered = await fetch(`${r.url}/v2/a/referrers/${digest}?artifactType=y`);
    expect(filtered.headers.get("oci-filters-applied")).toBe("artifactType");
    expect(((await filtered.json()) as { manifests: unknown[] }).manifests).toEqual([]);
    expect((await fetch(`${r.url}/v2/a/referrers/x`)).status).toBe(400);
  });
});

test("hostile names are refused", async () => {
  await using r = await startRegistry();
  for (const name of ["UPPER", "a..b", "..", "a//b", "-a", "a/../b", "%2e%2e", "a%00b", "x".repeat(300)]) {
    expect([name, await rawStatus(r.url, `/v2/${name}/tags/list`)]).toEqual([name, 400]);
  }
});
