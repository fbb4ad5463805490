import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Row } from "../table.ts";
import { emptyConfig, emptyHostConfig } from "../testing/bodies.ts";
import { attributesOf } from "./attributes.ts";
import { checkLogDefaults, type LogConfig, logDriversOf, rotationOf, settleLogConfig } from "./options.ts";

let directory: string;
let socket: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-logs-"));
  socket = join(directory, "socket");
  writeFileSync(socket, "");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const none = { socket: "/nonexistent/socket", program: undefined };
const settle = (Type: string, Config: LogConfig["Config"] = {}, logDefaults?: LogConfig) =>
  settleLogConfig({ Type, Config }, { journal: none, ...(logDefaults && { logDefaults }) });

test("the daemon's driver and options, where a container names none", () => {
  expect(settle("")).toEqual({ Type: "json-file", Config: {} });
  const defaults = { Type: "local", Config: { "max-size": "1m", "max-file": "2" } };
  expect(settle("", {}, defaults)).toEqual(defaults);
  expect(settle("local", { "max-file": "3" }, defaults)).toEqual({
    Type: "local",
    Config: { "max-size": "1m", "max-file": "3" },
  });
  expect(settle("json-file", {}, defaults)).toEqual({ Type: "json-file", Config: {} });
  expect(settle("none", {}, defaults)).toEqual({ Type: "none", Config: {} });
  expect(() => checkLogDefaults({ logDefaults: { Type: "local", Config: { x: "1" } } })).toThrow("unknown log opt 'x'");
});

const init = "failed to initialize logging driver:";

/** dockerd's own words, but for what is said of the place in a template. */
test.each([
  ["syslog", {}, 'error looking up logging plugin syslog: plugin "syslog" not found'],
  ["json-file", { foo: "1" }, "unknown log opt 'foo' for json-file log driver"],
  ["local", { labels: "x" }, "unknown log opt 'labels' for log driver local"],
  ["journald", { "max-size": "1m" }, "unknown log opt 'max-size' for journald log driver"],
  ["none", { "max-size": "1m" }, "invalid logging opts for driver none"],
  ["json-file", { "max-size": "abc" }, `${init} invalid size: 'abc'`],
  ["json-file", { "max-size": "0" }, `${init} max-size must be a positive number`],
  ["local", { "max-size": "" }, `${init} invalid size: ''`],
  ["json-file", { "max-size": "10m", "max-file": "0" }, `${init} max-file cannot be less than 1`],
  ["json-file", { "max-file": "x" }, `${init} strconv.Atoi: parsing "x": invalid syntax`],
  ["json-file", { compress: "x" }, `${init} strconv.ParseBool: parsing "x": invalid syntax`],
  [
    "json-file",
    { "max-size": "10m", compress: "true" },
    `${init} compress cannot be true when max-file is less than 2`,
  ],
  ["json-file", { mode: "foo" }, "logger: logging mode not supported: foo"],
  ["json-file", { "max-buffer-size": "1m" }, "max-buffer-size option is only supported with 'mode=non-blocking'"],
  ["json-file", { mode: "non-blocking" }, "'mode=non-blocking' is not implemented"],
  ["json-file", { tag: "{{.Foo}}" }, "can't evaluate field Foo in type *logger.Info"],
  ["json-file", { tag: "{{.constructor}}" }, "can't evaluate field constructor"],
  ["json-file", { tag: "{{" }, "unclosed action"],
  ["json-file", { "labels-regex": "(" }, `${init} error parsing regexp: \`(\``],
  ["json-file", { "env-regex": "(" }, `${init} error parsing regexp: \`(\``],
  ["journald", {}, `${init} journald is not enabled on this host: there is no /nonexistent/socket`],
])("%s %p is refused", (driver, options, message) => {
  expect(() => settle(driver, options as LogConfig["Config"])).toThrow(message);
});

test("journald: with a socket and journalctl, without what conmon does not write", () => {
  const journal = { socket, program: "/usr/bin/journalctl" };
  const asked = { Type: "journald", Config: { tag: "{{.Name}}", mode: "blocking" } };
  expect(settleLogConfig(asked, { journal })).toEqual(asked);
  expect(() => settleLogConfig(asked, { journal: { socket, program: undefined } })).toThrow(
    "journalctl is not installed",
  );
  const labels = { Type: "journald", Config: { labels: "a" } };
  expect(() => settleLogConfig(labels, { journal })).toThrow("'labels' is not implemented for journald");
  expect(logDriversOf(journal)).toEqual(["journald", "json-file", "local"]);
  expect(logDriversOf(none)).toEqual(["json-file", "local"]);
});

test("how a log is kept", () => {
  const kept = (Type: string, Config: LogConfig["Config"]) => rotationOf({ Type, Config });
  const usual = { maxSize: 20_000_000, files: 5, compress: true };
  const unsaid = { ...usual, files: 50, disk: 100_000_000 };
  for (const type of ["json-file", "local"]) {
    expect(kept(type, {})).toEqual(unsaid);
    expect(kept(type, { compress: "true" })).toEqual(unsaid);
    expect(kept(type, { compress: "false" })).toEqual({ ...usual, compress: false });
    expect(kept(type, { "max-file": "5" })).toEqual(usual);
  }
  expect(kept("json-file", { "max-size": "10m" })).toEqual({ maxSize: 10_000_000, files: 1, compress: false });
  expect(kept("local", { "max-size": "10m" })).toEqual({ maxSize: 10_000_000, files: 5, compress: true });
  expect(kept("json-file", { "max-file": "3", compress: "false" })).toEqual({ ...usual, files: 3, compress: false });
  for (const [text, bytes] of [
    ["1k", 1000],
    ["2KB", 2000],
    ["1.5 m", 1_500_000],
    ["7", 7],
    ["1GiB", 1e9],
  ] as const) {
    expect(kept("local", { "max-size": text }).maxSize).toBe(bytes);
  }
  expect(kept("local", { "max-size": "-1" }).maxSize).toBe(Number.POSITIVE_INFINITY);
});

test("attributes: what the options name, in a query's encoding", () => {
  const of = (Config: LogConfig["Config"]) =>
    attributesOf({
      id: "2b1716efbf74cafe".padEnd(64, "0"),
      name: "web",
      imageId: "sha256:65dba6e2",
      config: {
        ...emptyConfig,
        Labels: { a: "1 2", b: "x", "com.example": "(y)" },
        Env: ["X=é=&", "EMPTY=", "BARE", "XY=2"],
        Cmd: ["sh", "-c", "true"],
      },
      hostConfig: { ...emptyHostConfig, LogConfig: { Type: "json-file", Config } },
    } as unknown as Row);
  expect(of({})).toBe("");
  expect(of({ labels: "a,nope", env: "X", tag: "{{.Name}}/{{.ID}} q" })).toBe(
    "X=%C3%A9%3D%26,a=1+2,tag=web%2F2b1716efbf74+q",
  );
  expect(of({ "labels-regex": "^com\\.", "env-regex": "^X", env: "BARE,EMPTY" })).toBe(
    "BARE=,EMPTY=,X=%C3%A9%3D%26,XY=2,com.example=%28y%29",
  );
  expect(of({ tag: "{{ .ImageID }}|{{.ImageName}}|{{.Command}}|{{.ContainerName}}|{{.DaemonName}}" })).toBe(
    "tag=sha256%3A65dba%7Cbusybox%7Csh+-c+true%7C%2Fweb%7Cberth",
  );
});
