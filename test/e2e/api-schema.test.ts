import { afterAll, beforeAll, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import schemas from "../support/engine-api-1.51.json";
import { importBusybox } from "../support/images.ts";

/**
 * Answers against the schemas of the specification of API 1.51 (`engine-api-1.51.json`: its responses, references resolved):
 * every required field is there, every field has its type, none is there that the specification does not know.
 */
interface Schema {
  readonly type?: string;
  readonly nullable?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

/** Where dockerd answers null as well, whatever the specification says. */
const nullAsDockerd =
  /\.(HostConfig\..*|Config\..*|Aliases|DNSNames|Links|DriverOpts|IPAMConfig|Options|Labels|ExitCode|ExecIDs|Ports\..*)$/;
/** Fields that dockerd and this engine answer and that the specification has forgotten. */
const beyondSpecification =
  /^\$(\[\])?\.(MountLabel|ProcessLabel|AppArmorProfile|NetworkSettings\.Networks\.\w+\.GwPriority|detachKeys|DetachKeys)$/;

let engine: Engine;
let id = "";
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  id = await engine.ok("run", "-d", "--name", "aa", "-p", "127.0.0.1::80", "-v", "vol:/v", "busybox", "sleep", "1000");
  await engine.ok("exec", id, "touch", "/made");
});
afterAll(() => engine[Symbol.asyncDispose]());

const requests: readonly (readonly [keyof typeof schemas, string, object?])[] = [
  ["GET /containers/json", "/containers/json?size=1"],
  ["GET /containers/{id}/json", "/containers/aa/json?size=1"],
  ["GET /containers/{id}/top", "/containers/aa/top"],
  ["GET /containers/{id}/changes", "/containers/aa/changes"],
  ["GET /containers/{id}/stats", "/containers/aa/stats?stream=0&one-shot=1"],
  ["POST /containers/{id}/update", "/containers/aa/update", { CpuShares: 100 }],
  ["POST /containers/{id}/exec", "/containers/aa/exec", { Cmd: ["true"] }],
  ["GET /networks/{id}", "/networks/bridge"],
  ["GET /networks", "/networks"],
  ["GET /volumes/{name}", "/volumes/vol"],
  ["GET /volumes", "/volumes"],
  ["POST /containers/create", "/containers/create?name=other", { Image: "busybox", Cmd: ["true"] }],
  ["POST /containers/prune", "/containers/prune"],
];

for (const [endpoint, path, body] of requests) {
  test(endpoint, async () => {
    const { status, json } = await call(engine, `${endpoint.split(" ")[0]} /v1.51${path}`, body);
    expect([200, 201]).toContain(status);
    expect(violations("$", json, schemas[endpoint])).toEqual([]);
  });
}

test("GET /exec/{id}/json, POST /containers/{id}/wait", async () => {
  const { json: exec } = await call(engine, `POST /v1.51/containers/${id}/exec`, { Cmd: ["true"] });
  const { json: shown } = await call(engine, `GET /v1.51/exec/${exec.Id}/json`);
  expect(violations("$", shown, schemas["GET /exec/{id}/json"])).toEqual([]);
  await engine.ok("kill", "aa");
  const { json: waited } = await call(engine, "POST /v1.51/containers/aa/wait");
  expect(violations("$", waited, schemas["POST /containers/{id}/wait"])).toEqual([]);
});

function violations(at: string, value: unknown, schema: Schema): string[] {
  if (value === null) return schema.nullable || nullAsDockerd.test(at) ? [] : [`${at} is null`];
  if (!hasType(value, schema.type)) return [`${at} is no ${schema.type}: ${JSON.stringify(value)}`];
  if (Array.isArray(value)) return value.flatMap((one) => violations(`${at}[]`, one, schema.items ?? {}));
  if (typeof value !== "object") return [];
  const missing = (schema.required ?? [])
    .filter((key) => !Object.hasOwn(value, key))
    .map((key) => `${at}.${key} is missing`);
  const found = Object.entries(value).flatMap(([key, one]) => {
    const known = schema.properties?.[key] ?? schema.additionalProperties;
    if (known) return violations(`${at}.${key}`, one, known);
    return schema.type === undefined || beyondSpecification.test(`${at}.${key}`)
      ? []
      : [`${at}.${key} is not specified`];
  });
  return [...missing, ...found];
}

function hasType(value: unknown, type: string | undefined): boolean {
  if (type === undefined) return true;
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && !Array.isArray(value);
  return typeof value === type;
}
