import { describe, expect, test } from "bun:test";
import { EngineError, type ErrorKind } from "../errors/mod.ts";
import type { Method } from "../http/mod.ts";
import { createRouter } from "../http/router.ts";
import { api, fakeServices } from "./api.suite.ts";
import endpoints from "./endpoints.json";
import { apiRoutes, statusOf } from "./mod.ts";
import { systemFacts, versionFacts } from "./system.suite.ts";
import { atLeast, streamType } from "./version.ts";

const system = { version: () => versionFacts, info: async () => systemFacts };

describe("the whole contract", () => {
  test("every endpoint of the specification is routed", () => {
    const router = createRouter(apiRoutes(fakeServices({})));
    const missing = endpoints.filter((endpoint) => {
      const [method, path = ""] = endpoint.split(" ");
      const match = router(method as Method, path.replace(/\{\w+\}/g, "some"));
      return match?.route.method !== method;
    });
    expect(endpoints.length).toBeGreaterThan(100);
    expect(missing).toEqual([]);
  });

  test("what is not there says so by name; swarm says what clean-up code expects; plugins are none", async () => {
    await using a = await api();
    const refused = [
      ["POST", "/auth"],
      ["GET", "/images/search?term=x"],
      ["POST", "/swarm/init"],
      ["DELETE", "/plugins/a/b"],
    ];
    for (const [method = "", path = ""] of refused) {
      const { status, body } = await a.ask(method, path);
      expect([path, status, (body as { message: string }).message]).toEqual([
        path,
        501,
        expect.stringMatching(/^\w.+ is not implemented by Berth yet$/),
      ]);
    }
    for (const [method = "", path = ""] of [
      ["POST", "/swarm/leave?force=1"],
      ["GET", "/v1.24/swarm"],
      ["GET", "/services"],
      ["GET", "/nodes"],
      ["DELETE", "/secrets/x"],
      ["GET", "/configs"],
      ["GET", "/tasks"],
    ]) {
      const { status, body } = await a.ask(method, path);
      expect(status).toBe(503);
      expect((body as { message: string }).message).toStartWith("This node is not a swarm manager. Use");
    }
    expect((await a.ask("GET", "/plugins")).body).toEqual([]);
    expect(await a.ask("GET", "/plugins/a/b/json")).toMatchObject({
      status: 404,
      body: { message: 'plugin "a/b" not found' },
    });
  });

  test("unknown paths and methods", async () => {
    await using a = await api();
    for (const [method = "", path = ""] of [
      ["GET", "/nothing"],
      ["PUT", "/info"],
      ["GET", "/"],
      ["GET", "/v1.41"],
      ["GET", "/v1.41/"],
    ])
      expect(await a.ask(method, path)).toMatchObject({ status: 404, body: { message: "page not found" } });
  });

  test("kinds become statuses", async () => {
    const kinds: Record<ErrorKind, number> = {
      invalid: 400,
      "not-found": 404,
      conflict: 409,
      "not-modified": 304,
      unauthorized: 401,
      forbidden: 403,
      unavailable: 503,
      "not-implemented": 501,
      canceled: 500,
      internal: 500,
    };
    for (const [kind, status] of Object.entries(kinds) as [ErrorKind, number][]) {
      expect(statusOf(kind)).toBe(status);
      const start = async () => {
        throw new EngineError(kind, `because ${kind}`);
      };
      await using a = await api({ containers: { start } });
      const answer = await a.ask("POST", "/containers/x/start");
      expect(answer.status).toBe(status);
      if (kind === "not-modified") expect(answer.text).toBe("");
      else expect(answer.body).toEqual({ message: `because ${kind}` });
    }
  });
});

describe("versions", () => {
  test("are compared by number", () => {
    expect([atLeast("1.9", "1.24"), atLeast("1.24", "1.24"), atLeast("1.51", "1.44"), atLeast("2", "1.51")]).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect([streamType("multiplexed", "1.42"), streamType("multiplexed", "1.41"), streamType("raw", "1.51")]).toEqual([
      "application/vnd.docker.multiplexed-stream",
      "application/vnd.docker.raw-stream",
      "application/vnd.docker.raw-stream",
    ]);
  });

  test("old and absent ones are served, ones from the future are not", async () => {
    await using a = await api({ system });
    for (const prefix of ["", "/v1.12", "/v1.24", "/v1.51"])
      expect((await a.ask("GET", `${prefix}/version`)).status).toBe(200);
    expect(await a.ask("GET", "/v1.52/version")).toMatchObject({
      status: 400,
      body: { message: "client version 1.52 is too new. Maximum supported API version is 1.51" },
    });
  });
});

describe("system", () => {
  test("ping by GET and HEAD, with the headers that clients negotiate by", async () => {
    let greetings = 0;
    await using a = await api({ system: { greeted: () => void greetings++ } });
    for (const [method, text] of [
      ["GET", "OK"],
      ["HEAD", ""],
    ] as const) {
      const { status, headers, text: got } = await a.ask(method, "/_ping");
      expect([status, got]).toEqual([200, text]);
      expect(Object.fromEntries(headers)).toMatchObject({
        "api-version": "1.51",
        "docker-experimental": "false",
        ostype: "linux",
        "builder-version": "1",
        server: "Berth/0.1.0 (linux)",
        "cache-control": "no-cache, no-store, must-revalidate",
      });
    }
    expect(greetings).toBe(2);
  });

  test("version and info", async () => {
    await using a = await api({ system });
    expect((await a.ask("GET", "/version")).body).toMatchObject({
      Version: "0.1.0",
      ApiVersion: "1.51",
      MinAPIVersion: "1.24",
      Os: "linux",
      Arch: "amd64",
      Components: [
        { Name: "Engine", Version: "0.1.0", Details: { ApiVersion: "1.51" } },
        { Name: "crun", Version: "1.8.1" },
      ],
    });
    expect((await a.ask("GET", "/info")).body).toMatchObject({
      ID: "host-id",
      Containers: 6,
      ContainersStopped: 3,
      Images: 4,
      Swarm: { LocalNodeState: "inactive" },
      RegistryConfig: {
        Mirrors: ["http://127.0.0.1:5000/"],
        InsecureRegistryCIDRs: ["::1/128", "127.0.0.0/8", "10.0.0.0/8"],
        IndexConfigs: { "r:5000": { Secure: false } },
      },
      DefaultAddressPools: [{ Base: "172.17.0.0/16", Size: 24 }],
    });
  });

  test("disk usage asks for what was asked", async () => {
    const asked: string[][] = [];
    const usage = async (types: ReadonlySet<string>) => {
      asked.push([...types]);
      return { LayersSize: 5 };
    };
    await using a = await api({ system: { usage } });
    expect((await a.ask("GET", "/system/df")).body).toEqual({ LayersSize: 5 });
    await a.ask("GET", "/system/df?type=volume&type=image");
    expect(asked).toEqual([
      ["container", "image", "volume", "build-cache"],
      ["image", "volume"],
    ]);
    expect((await a.ask("GET", "/system/df?type=x")).status).toBe(400);
  });
});
