import { afterAll, beforeAll, expect, test } from "bun:test";
import { call, dial } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine[Symbol.asyncDispose]());

test("paths with and without a version, from 1.24 on", async () => {
  for (const prefix of ["", "/v1.24", "/v1.30", "/v1.41", "/v1.51"]) {
    expect([prefix, (await call(engine, `GET ${prefix}/containers/json`)).json]).toEqual([prefix, []]);
    expect((await call(engine, `GET ${prefix}/version`)).json.ApiVersion).toBe("1.51");
  }
});

test("_ping says what clients go by", async () => {
  for (const method of ["GET", "HEAD"]) {
    const { status, headers, text } = await call(engine, `${method} /_ping`);
    expect([status, text]).toEqual([200, method === "GET" ? "OK" : ""]);
    expect(headers.get("api-version")).toBe("1.51");
    expect(headers.get("builder-version")).toBe("1");
    expect(headers.get("ostype")).toBe("linux");
    expect(headers.get("docker-experimental")).toBe("false");
    expect(headers.get("cache-control")).toContain("no-cache");
    expect(headers.get("server")).toMatch(/^Berth\//);
  }
});

test("errors are objects with a message", async () => {
  const { status, headers, json } = await call(engine, "GET /containers/nobody/json");
  expect(status).toBe(404);
  expect(headers.get("content-type")).toContain("application/json");
  expect(json).toEqual({ message: "No such container: nobody" });
  expect(await call(engine, "GET /nothing/like/it")).toMatchObject({
    status: 404,
    json: { message: "page not found" },
  });
});

test("what is not built yet says so by name", async () => {
  for (const [request, what] of [
    ["GET /images/search?term=x", "searching a registry"],
    ["POST /swarm/init", "swarm mode"],
  ] as const) {
    const { status, json } = await call(engine, request, request.startsWith("POST") ? {} : undefined);
    expect([request, status]).toEqual([request, 501]);
    expect(json.message).toContain(what);
  }
});

test("version and info", async () => {
  const version = (await call(engine, "GET /version")).json;
  expect(version).toMatchObject({ MinAPIVersion: "1.24", Os: "linux" });
  expect(version.Components.map(({ Name }: { Name: string }) => Name)).toContain("Engine");
  const info = (await call(engine, "GET /info")).json;
  expect(info).toMatchObject({
    Containers: 0,
    Images: 0,
    Driver: "overlay2",
    OSType: "linux",
    DockerRootDir: `${engine.directory}/data`,
  });
  expect(["crun", "runc"]).toContain(info.DefaultRuntime);
  expect(["1", "2"]).toContain(info.CgroupVersion);
  expect(await engine.ok("version", "--format", "{{.Server.APIVersion}}")).toBe("1.51");
  expect((await engine.berth("version")).stdout).toContain("Server:");
  expect((await engine.berth("info")).stdout).toContain("overlay2");
});

test("several requests on one connection, one after the other and in one piece", async () => {
  const socket = await dial(engine);
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.write(
    "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /containers/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  await closed;
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(text).toContain("[]");
});

test("system df and prune of an engine that holds nothing", async () => {
  expect((await call(engine, "GET /system/df")).json).toMatchObject({ LayersSize: 0, Containers: [], Volumes: [] });
  expect((await call(engine, "POST /containers/prune")).json.SpaceReclaimed).toBe(0);
  expect((await call(engine, "POST /images/prune")).json.SpaceReclaimed).toBe(0);
  expect((await call(engine, "POST /volumes/prune")).json.SpaceReclaimed).toBe(0);
  expect((await call(engine, "POST /networks/prune")).status).toBe(200);
  expect((await call(engine, "POST /build/prune")).status).toBe(200);
});
