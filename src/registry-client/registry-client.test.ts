import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { EngineError, kindOf } from "../errors/mod.ts";
import { nullLog } from "../log/mod.ts";
import { type Descriptor, digestOf, mediaTypes, parseReference } from "../oci/mod.ts";
import { startRegistry } from "../registry-server/testing/start.suite.ts";
import { fromBuffer } from "../stream/mod.ts";
import { parseChallenges } from "./challenge.ts";
import { createEndpoints } from "./endpoints.ts";
import { RegistryFailure } from "./failure.ts";
import { explain } from "./lookup.ts";
import { createRegistryClient, type RegistryClientOptions } from "./mod.ts";

const signal = new AbortController().signal;
const client = (options: Partial<RegistryClientOptions> = {}) =>
  createRegistryClient({ mirrors: [], insecure: [], log: nullLog, retryDelay: 1, ...options });

async function scripted(handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const { authorization = "-", range = "" } = request.headers;
    if (request.url !== "/v2/") seen.push(`${request.method} ${request.url} ${authorization} ${range}`.trim());
    if (request.url === "/v2/") response.end("{}");
    else handle(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { host, seen, [Symbol.asyncDispose]: stop };
}

/** An address that nobody listens on. */
async function deadHost() {
  await using server = await scripted(() => undefined);
  return server.host;
}

const read = async (bytes: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(bytes)).toString();
const failure = async (promise: Promise<unknown>) => {
  const err = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { kind: kindOf(err), message: err instanceof Error ? err.message : String(err) };
};
const blob = (text: string): Descriptor => ({
  mediaType: mediaTypes.layer,
  digest: digestOf(text),
  size: Buffer.byteLength(text),
});

describe("with our own registry", () => {
  test("push, mount, has, resolve, fetch, tags", async () => {
    await using r = await startRegistry();
    const c = client();
    const ref = parseReference(`${r.host}/team/app:v1`);
    const layer = blob("layer".repeat(100_000));
    const config = { ...blob("{}"), mediaType: mediaTypes.config };
    expect(await c.has(ref, layer, { signal })).toBe(false);
    expect(await c.pushBlob(ref, layer, () => fromBuffer("layer".repeat(100_000)), { signal })).toBe("uploaded");
    await c.pushBlob(ref, config, () => fromBuffer("{}"), { signal });
    expect(await c.has(ref, layer, { signal })).toBe(true);
    const other = parseReference(`${r.host}/team/other:v1`);
    expect(await c.pushBlob(other, layer, () => fromBuffer("x"), { signal, mountFrom: "team/app" })).toBe("mounted");
    expect((await failure(c.pushBlob(other, blob("a"), () => fromBuffer("b"), { signal }))).message).toContain(
      "digest invalid",
    );

    const bytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] }),
    );
    const manifest = { mediaType: mediaTypes.manifest, digest: digestOf(bytes), size: bytes.length };
    await c.pushManifest(ref, manifest, bytes, { signal });
    expect(await c.resolve(ref, { signal })).toEqual(manifest);
    expect(await c.resolve({ ...ref, digest: manifest.digest }, { signal })).toEqual(manifest);
    expect(await read(await c.fetch(ref, manifest, { signal }))).toBe(bytes.toString());
    expect(await read(await c.fetch(ref, layer, { signal, offset: 499_990 }))).toBe("layerlayer");
    for (const tag of ["a", "b"]) await c.pushManifest({ ...ref, tag }, manifest, bytes, { signal });
    expect(await c.tags(ref, { signal })).toEqual(["a", "b", "v1"]);
  });
  test("what is not there", async () => {
    await using r = await startRegistry();
    const missing = await failure(client().resolve(parseReference(`${r.host}/team/nothing:1`), { signal }));
    expect(missing).toEqual({
      kind: "not-found",
      message: `manifest for ${r.host}/team/nothing:1 not found: manifest unknown: manifest unknown`,
    });
    const gone = await failure(client().fetch(parseReference(`${r.host}/a`), blob("x"), { signal }));
    expect(gone.kind).toBe("not-found");
    expect(gone.message).toContain("blob unknown");
  });
});

describe("endpoints", () => {
  const endpoints = createEndpoints({
    mirrors: ["http://m:5000/sub/"],
    insecure: ["reg.local:80", "10.0.0.0/8", "fd00::/8"],
  });
  const bases = (domain: string) => endpoints({ domain }).pull.map((endpoint) => endpoint.bases);
  test("mirrors for Docker Hub only; http for insecure and loopback only", () => {
    expect(bases("docker.io")).toEqual([["http://m:5000/sub"], ["https://registry-1.docker.io"]]);
    expect(endpoints({ domain: "docker.io" }).push.mirror).toBe(false);
    expect(bases("example.com")).toEqual([["https://example.com"]]);
    expect(bases("reg.local:80")[0]).toEqual(["https://reg.local:80", "http://reg.local:80"]);
    expect(bases("10.1.2.3:5000")[0]).toHaveLength(2);
    expect(bases("11.1.2.3:5000")[0]).toHaveLength(1);
    expect(bases("[fd00::1]:5000")[0]).toHaveLength(2);
    for (const host of ["localhost:5000", "127.9.9.9", "[::1]:5000"])
      expect(bases(host)[0]?.[0]).toBe(`http://${host}`);
    expect(bases("127.0.0.1.example.com")[0]).toHaveLength(1);
  });
  test("refuses nonsense", () => {
    for (const url of ["ftp://x", "x", "http://u:p@x", "http://x?y"]) {
      expect(() => createEndpoints({ mirrors: [url], insecure: [] })).toThrow("invalid mirror");
    }
    for (const cidr of ["x/8", "10.0.0.0/33", "10.0.0.0/"]) {
      expect(() => createEndpoints({ mirrors: [], insecure: [cidr] })).toThrow("is not valid");
    }
  });
});

test("challenges", () => {
  const [bearer, basic] = parseChallenges(
    'Bearer realm="https://a/t?x=1,2",service="s \\"q\\"", scope=a, Basic realm="r"',
  );
  expect(bearer?.scheme).toBe("bearer");
  expect([...(bearer?.parameters ?? [])]).toEqual([
    ["realm", "https://a/t?x=1,2"],
    ["service", 's "q"'],
    ["scope", "a"],
  ]);
  expect(basic?.scheme).toBe("basic");
  expect(parseChallenges("Negotiate")).toHaveLength(1);
  for (const odd of ["", '="x"', ",,,"]) expect(parseChallenges(odd)).toEqual([]);
});

describe("authentication", () => {
  const app = (host: string) => parseReference(`${host}/team/app:1`);
  test("a token from the realm, kept for the next request", async () => {
    await using s = await scripted((request, response) => {
      const url = new URL(request.url ?? "", "http://x");
      if (url.pathname === "/token") return response.end(JSON.stringify({ token: "tok", expires_in: 300 }));
      if (request.headers.authorization !== "Bearer tok") {
        const challenge = `Bearer realm="http://${request.headers.host}/token",service="svc"`;
        return response.writeHead(401, { "WWW-Authenticate": challenge }).end();
      }
      return response.end("data!");
    });
    const c = client();
    const auth = { username: "me", password: "pw" };
    for (let i = 0; i < 2; i++)
      expect(await read(await c.fetch(app(s.host), blob("data!"), { signal, auth }))).toBe("data!");
    const basic = `Basic ${Buffer.from("me:pw").toString("base64")}`;
    const path = `GET /v2/team/app/blobs/${digestOf("data!")}`;
    expect(s.seen).toEqual([
      `${path} -`,
      `GET /token?service=svc&scope=repository%3Ateam%2Fapp%3Apull&account=me ${basic}`,
      `${path} Bearer tok`,
      `${path} -`,
      `${path} Bearer tok`,
    ]);
  });
  test("a refresh token is posted; a registry token is used as it is", async () => {
    let form = "";
    await using s = await scripted((request, response) => {
      if (request.url === "/token") {
        request.on("data", (chunk) => {
          form += chunk;
        });
        request.on("end", () => response.end(JSON.stringify({ access_token: "from-refresh" })));
      } else if (!request.headers.authorization) {
        response.writeHead(401, { "WWW-Authenticate": `Bearer realm="/token",service="svc"` }).end();
      } else response.end("data!");
    });
    await read(await client().fetch(app(s.host), blob("data!"), { signal, auth: { identityToken: "refresh" } }));
    expect(Object.fromEntries(new URLSearchParams(form))).toEqual({
      grant_type: "refresh_token",
      client_id: "berth",
      service: "svc",
      refresh_token: "refresh",
      scope: "repository:team/app:pull",
    });
    s.seen.length = 0;
    await read(await client().fetch(app(s.host), blob("data!"), { signal, auth: { registryToken: "given" } }));
    expect(s.seen).toEqual([`GET /v2/team/app/blobs/${digestOf("data!")} Bearer given`]);
  });
  test("basic, and wrong credentials", async () => {
    await using s = await scripted((request, response) => {
      const good = request.headers.authorization === `Basic ${Buffer.from("me:pw").toString("base64")}`;
      if (good) response.end("data!");
      else response.writeHead(401, { "WWW-Authenticate": 'Basic realm="r"' }).end();
    });
    const fetchWith = (password: string) =>
      client().fetch(app(s.host), blob("data!"), { signal, auth: { username: "me", password } });
    expect(await read(await fetchWith("pw"))).toBe("data!");
    const refused = await failure(fetchWith("no"));
    expect(refused.message).toBe(
      `pull access denied for ${s.host}/team/app, repository does not exist or may require 'docker login': unauthorized: authentication required`,
    );
    expect(s.seen.length).toBeLessThan(6);
  });
  test("credentials do not follow a redirect to another host", async () => {
    await using other = await scripted((_, response) => response.end("data!"));
    await using s = await scripted((request, response) => {
      if (!request.headers.authorization) response.writeHead(401, { "WWW-Authenticate": 'Basic realm="r"' }).end();
      else response.writeHead(307, { Location: `http://${other.host}/blob` }).end();
    });
    const auth = { username: "me", password: "pw" };
    expect(await read(await client().fetch(app(s.host), blob("data!"), { signal, auth }))).toBe("data!");
    expect(other.seen).toEqual(["GET /blob -"]);
  });
  test("endless redirects and odd schemes are given up", async () => {
    await using s = await scripted((request, response) => {
      const to = request.url?.includes("odd") ? "file:///etc/passwd" : (request.url ?? "");
      response.writeHead(302, { Location: to }).end();
    });
    expect((await failure(client().tags(app(s.host), { signal }))).message).toContain("stopped after 10 redirects");
    expect((await failure(client().tags(parseReference(`${s.host}/odd`), { signal }))).message).toContain(
      "no http(s) URL",
    );
  });
});

describe("retries", () => {
  const text = "0123456789".repeat(1000);
  test("a blob goes on where the connection broke", async () => {
    let served = 0;
    let arrived: () => unknown = () => undefined;
    await using s = await scripted((request, response) => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(start ? 206 : 200, { "Content-Length": text.length - start });
      if (served++ > 1) return response.end(text.slice(start));
      arrived = () => response.socket?.destroy();
      return response.write(text.slice(start, start + 1000));
    });
    const bytes = await client().fetch(parseReference(`${s.host}/a`), blob(text), { signal });
    let got = "";
    for await (const chunk of bytes) {
      got += Buffer.from(chunk).toString();
      arrived();
    }
    expect(got).toBe(text);
    expect(s.seen.map((line) => line.split(" ").at(-1))).toEqual(["-", "bytes=1000-", "bytes=2000-"]);
  });
  test("a registry that ignores ranges, and one that sends too little or too much", async () => {
    let served = 0;
    await using s = await scripted((request, response) => {
      if (request.url?.includes("/long/")) return response.end(`${text}x`);
      return response.end(served++ === 0 || request.url?.includes("/short/") ? text.slice(0, 50) : text);
    });
    const fetchFrom = async (name: string) =>
      read(await client().fetch(parseReference(`${s.host}/${name}`), blob(text), { signal }));
    expect(await fetchFrom("a")).toBe(text);
    expect((await failure(fetchFrom("short"))).message).toContain(`unexpected EOF after 50 of ${text.length} bytes`);
    expect((await failure(fetchFrom("long"))).message).toContain(`sends more than the ${text.length} bytes`);
  });
  test("a busy registry is asked again, a broken one given up", async () => {
    let served = 0;
    await using s = await scripted((request, response) => {
      const good = served++ > 1 && !request.url?.includes("/down/");
      response.writeHead(good ? 200 : 503).end(good ? '{"tags":["x"]}' : "");
    });
    expect(await client().tags(parseReference(`${s.host}/a`), { signal })).toEqual(["x"]);
    const down = await failure(client().tags(parseReference(`${s.host}/down/a`), { signal }));
    expect(down).toEqual({
      kind: "unavailable",
      message: "GET /v2/down/a/tags/list: unexpected status from registry: 503",
    });
  });
  test("an abort ends it", async () => {
    await using s = await scripted(() => undefined);
    const abort = new AbortController();
    const pending = failure(client().tags(parseReference(`${s.host}/a`), { signal: abort.signal }));
    abort.abort();
    expect((await pending).kind).toBe("canceled");
  });
});

describe("mirrors", () => {
  const nginx = parseReference("nginx:1");
  test("are asked first, without the user's credentials", async () => {
    await using r = await startRegistry();
    const at = parseReference(`${r.host}/library/nginx:1`);
    const config = { ...blob("{}"), mediaType: mediaTypes.config };
    await client().pushBlob(at, config, () => fromBuffer("{}"), { signal });
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] }));
    await client().pushManifest(
      at,
      { mediaType: mediaTypes.manifest, digest: digestOf(bytes), size: bytes.length },
      bytes,
      { signal },
    );
    const found = await client({ mirrors: [`http://${await deadHost()}`, r.url] }).resolve(nginx, { signal });
    expect(found.digest).toBe(digestOf(bytes));
  });
  test("who cannot be reached is named, and how", async () => {
    const dead = await deadHost();
    const unreachable = await failure(client().resolve(parseReference(`${dead}/nginx:1`), { signal }));
    expect(unreachable.kind).toBe("unavailable");
    expect(unreachable.message).toBe(`Get "http://${dead}/v2/": dial tcp ${dead}: connect: connection refused`);
  });
  test("the registry's own reason counts; a mirror's is told when the registry is away", () => {
    const away = new EngineError("unavailable", 'Get "https://x/v2/": dial tcp: lookup x: no such host');
    const unknown = new RegistryFailure({
      status: 404,
      code: "MANIFEST_UNKNOWN",
      message: "manifest unknown: manifest unknown",
    });
    const denied = new RegistryFailure({
      status: 401,
      code: "UNAUTHORIZED",
      message: "unauthorized: authentication required",
    });
    const said = (...failures: unknown[]) => (explain(nginx, failures) as Error).message;
    expect(said(unknown, denied)).toStartWith(
      "pull access denied for nginx, repository does not exist or may require 'docker login'",
    );
    expect(said(away, unknown)).toBe("manifest for nginx:1 not found: manifest unknown: manifest unknown");
    expect(said(unknown, away)).toBe(
      'manifest for nginx:1 not found: manifest unknown: manifest unknown (on the mirror; and Get "https://x/v2/": dial tcp: lookup x: no such host)',
    );
    expect(said(away, away)).toBe(away.message);
  });
});
