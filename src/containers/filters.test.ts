import { expect, test } from "bun:test";
import type { Endpoint } from "../network/mod.ts";
import type { PortMap } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { compileFilters } from "./filters.ts";
import type { Row } from "./table.ts";

const row = (name: string, more: Partial<Row> = {}) =>
  ({
    ...{ id: `${name}${"0".repeat(64)}`.slice(0, 64), name, phase: "running", exitCode: 0, mounts: [], imageId: "" },
    config: { Labels: {}, Image: "i", ExposedPorts: { "81/tcp": {} } },
    hostConfig: { NetworkMode: "none" },
    endpoints: {},
    ...more,
  }) as unknown as Row;

const ports: PortMap = { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "53/udp": null };

/** Every container has the same ports. */
const context = {
  networks: { endpoints: () => [{ networkName: "bridge", ports } as unknown as Endpoint], list: () => [] },
} as unknown as Context;

const accepts = (filter: Record<string, string[]>, one: Row) =>
  compileFilters(context, new Map(Object.entries(filter)))(one);

test.each([
  [{ name: ["web"] }, true],
  [{ name: ["^/web-1$"] }, true],
  [{ name: ["^web-1$"] }, true],
  [{ name: ["eb-[0-9]"] }, true],
  [{ name: ["(?i)WEB"] }, true],
  [{ name: ["^eb"] }, false],
  [{ name: ["(", "web"] }, true],
  [{ name: ["("] }, false],
  [{ name: ["(a+)+$", "(\\w+)*!"] }, false],
  [{ id: ["web-1"] }, true],
  [{ id: ["0$"] }, true],
  [{ id: ["["] }, false],
  [{ "is-task": ["false"] }, true],
  [{ "is-task": ["1"] }, false],
  [{ exited: ["0"] }, false],
  [{ status: ["running", "exited"] }, true],
  [{ publish: ["8080"] }, true],
  [{ publish: ["80"] }, false],
  [{ publish: ["8000-8090/TCP"] }, true],
  [{ publish: ["8080/udp"] }, false],
  [{ expose: ["80"] }, true],
  [{ expose: ["53/udp"] }, true],
  [{ expose: ["81"] }, true],
  [{ expose: ["82"] }, false],
  [{ expose: ["80/foo"] }, false],
  [{ expose: ["82"], publish: ["8080"] }, true],
  [{ publish: [] }, true],
])("%p: %p", (filter, expected) => {
  expect(accepts(filter as unknown as Record<string, string[]>, row("web-1"))).toBe(expected);
});

test("an exit code is that of one that has ended", () => {
  expect(accepts({ exited: ["3"] }, row("a", { phase: "exited", exitCode: 3 }))).toBe(true);
  expect(accepts({ exited: ["3"] }, row("a", { phase: "created", exitCode: 3 }))).toBe(false);
});

test.each([
  [{ nope: ["x"] }, "invalid filter 'nope'"],
  [{ __proto__x: ["x"] }, "invalid filter '__proto__x'"],
  [{ exited: ["x"] }, "invalid filter 'exited=x'"],
  [{ status: ["foo"] }, "invalid filter 'status=foo'"],
  [{ "is-task": ["maybe"] }, "invalid filter 'is-task=[maybe]'"],
  [{ "is-task": ["true", "false"] }, "invalid filter 'is-task=[true false]'"],
  [{ publish: ["x"] }, 'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax'],
  [
    { publish: ["99999"] },
    'error while looking up for publish 99999: strconv.ParseUint: parsing "99999": value out of range',
  ],
  [{ publish: ["9-8"] }, "error while looking up for publish 9-8: Invalid range specified for the Port: 9-8"],
  [{ expose: ["80-"] }, 'error while looking up for expose 80-: strconv.ParseUint: parsing "": invalid syntax'],
  [{ publish: ["127.0.0.1:80"] }, "filter for 'publish' should not contain ':': 127.0.0.1:80"],
  [{ name: Array.from({ length: 99 }, () => "a{900}") }, "too large"],
])("%p is refused", (filter, message) => {
  expect(() => accepts(filter as unknown as Record<string, string[]>, row("web-1"))).toThrow(message);
});
