import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { frame } from "../../stream/mod.ts";
import { cli, refusing } from "../testing/fake.ts";

const gone = refusing("not-found", "No such container: nope");
const now = Math.floor(Date.now() / 1000);

const row = {
  Id: "abcdef".repeat(11).slice(0, 64),
  Names: ["/web", "/other/alias"],
  Image: "nginx:latest",
  ImageID: "sha256:1",
  Command: "nginx -g 'daemon off;' and more",
  Created: now - 3 * 3600,
  State: "running",
  Status: "Up 3 hours",
  Ports: [
    { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { IP: "0.0.0.0", PrivatePort: 81, PublicPort: 8081, Type: "tcp" },
    { IP: "::", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { PrivatePort: 443, Type: "tcp" },
    { PrivatePort: 53, Type: "udp" },
  ],
  Labels: { a: "1", "b.c": "2" },
  SizeRw: 1500,
  SizeRootFs: 187_000_000,
  Mounts: [{ Type: "volume", Name: "0123456789abcdef0123", Source: "/x" }],
  NetworkSettings: { Networks: { bridge: {} } },
};
const answers = { "GET /containers/json": [row] };

test("ps", async () => {
  const ran = await cli(["ps"], { answers });
  expect(ran.out).toBe(
    [
      "CONTAINER ID   IMAGE          COMMAND                  CREATED       STATUS       PORTS                                                                            NAMES",
      `abcdefabcdef   nginx:latest   "nginx -g 'daemon of…"   3 hours ago   Up 3 hours   53/udp, 443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 0.0.0.0:8081->81/tcp   web`,
      "",
    ].join("\n"),
  );
  expect(ran.asked).toEqual(["GET /containers/json?all=false&size=false"]);
});

test.each([
  [["ps", "-q"], "abcdefabcdef\n"],
  [["ps", "-q", "--no-trunc"], `${row.Id}\n`],
  [["ps", "--format", '{{.Names}} {{.State}} {{.Label "b.c"}}{{.Label "none"}}'], "web running 2\n"],
  [
    ["ps", "--format", "{{.Size}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}}"],
    "1.5kB (virtual 187MB) 0123456789abcd… 1 bridge\n",
  ],
  [["ps", "--format", 'table {{.ID}}\\t{{.Label "a"}}'], "CONTAINER ID   a\nabcdefabcdef   1\n"],
  [
    ["ps", "--no-trunc", "--format", "{{.Names}} {{.Mounts}} {{.Command}}"],
    `web,other/alias 0123456789abcdef0123 ${JSON.stringify(row.Command)}\n`,
  ],
])("%j", async (argv, out) => {
  expect(await cli(argv, { answers })).toMatchObject({ status: 0, out, err: "" });
});

test("ps --format json has every column as text", async () => {
  const ran = await cli(["ps", "--format", "json"], { answers });
  expect(JSON.parse(ran.out)).toMatchObject({
    ID: "abcdefabcdef",
    Names: "web",
    Labels: "a=1,b.c=2",
    State: "running",
  });
});

test.each([
  [["ps", "-a"], "all=true&size=false"],
  [["ps", "-n", "3"], "all=true&limit=3&size=false"],
  [["ps", "-l"], "all=true&limit=1&size=false"],
  [["ps", "-s"], "all=false&size=true"],
  [
    ["ps", "-f", "status=exited", "-f", "label=a=b", "--filter", "status=dead"],
    'all=false&size=false&filters={"status":["exited","dead"],"label":["a=b"]}',
  ],
])("%j asks for %s", async (argv, query) => {
  expect((await cli(argv, { answers })).asked).toEqual([`GET /containers/json?${query}`]);
});

test("ps gives way to a narrow terminal, with bold headings unless NO_COLOR is set", async () => {
  const { out } = await cli(["ps"], { answers, terminal: 100 });
  const [head = "", line = ""] = out.split("\n");
  expect(head.startsWith("\x1b[1mCONTAINER ID")).toBe(true);
  expect(Bun.stringWidth(line)).toBeLessThanOrEqual(100);
  expect(line).toContain("…");
  expect((await cli(["ps"], { answers, terminal: 100, env: { NO_COLOR: "1" } })).out).not.toContain("\x1b");
});

test("ps refuses bad filters and templates", async () => {
  expect(await cli(["ps", "-f", "x"])).toMatchObject({
    status: 125,
    err: 'invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)\n\nUsage:  berth ps [OPTIONS]\n\nRun \'berth ps --help\' for more information\n',
  });
  const bad = await cli(["ps", "--format", "{{.ID"], { answers });
  expect(bad).toMatchObject({ status: 1, out: "" });
  expect(bad.err).toContain("unclosed action");
});

test("inspect shows what is there, and tells what is not", async () => {
  const known = {
    "GET /containers/web/json": { Id: "1", State: { Status: "running" } },
    "GET /containers/nope/json": gone,
  };
  expect(await cli(["container", "inspect", "web", "nope"], { answers: known })).toMatchObject({
    status: 1,
    out: '[\n    {\n        "Id": "1",\n        "State": {\n            "Status": "running"\n        }\n    }\n]\n',
    err: "Error response from daemon: No such container: nope\n",
  });
  expect(await cli(["container", "inspect", "-f", "{{.State.Status}}", "web"], { answers: known })).toMatchObject({
    status: 0,
    out: "running\n",
  });
  expect((await cli(["container", "inspect", "-f", "json", "web"], { answers: known })).out).toBe(
    '[{"Id":"1","State":{"Status":"running"}}]\n',
  );
});

test("diff, top and port", async () => {
  const known = {
    "GET /containers/a/changes": [
      { Kind: 0, Path: "/etc" },
      { Kind: 1, Path: "/etc/x" },
      { Kind: 2, Path: "/y" },
    ],
    "GET /containers/empty/changes": null,
    "GET /containers/a/top": { Titles: ["PID", "CMD", "CMD"], Processes: [["1", "sh", "sh -c x"]] },
    "GET /containers/a/json": {
      NetworkSettings: {
        Ports: {
          "80/tcp": [
            { HostIp: "0.0.0.0", HostPort: "8080" },
            { HostIp: "::", HostPort: "8080" },
          ],
          "9/udp": null,
        },
      },
    },
  };
  expect((await cli(["diff", "a"], { answers: known })).out).toBe("C /etc\nA /etc/x\nD /y\n");
  expect((await cli(["diff", "empty"], { answers: known })).out).toBe("");
  const top = await cli(["top", "a", "-eo", "pid,cmd"], { answers: known });
  expect(top).toMatchObject({
    out: "PID       CMD       CMD\n1         sh        sh -c x\n",
    asked: ["GET /containers/a/top?ps_args=-eo pid,cmd"],
  });
  expect((await cli(["port", "a"], { answers: known })).out).toBe("80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
  expect((await cli(["port", "a", "80"], { answers: known })).out).toBe("0.0.0.0:8080\n[::]:8080\n");
  expect(await cli(["port", "a", "9/udp"], { answers: known })).toMatchObject({
    status: 1,
    err: "no public port '9/udp' published for a\n",
  });
});

test("logs go to the stream that the process wrote to", async () => {
  const text = Buffer.concat([frame("stdout", Buffer.from("out\n")), frame("stderr", Buffer.from("err\n"))]);
  const known = { "GET /containers/a/json": { Id: "1", Config: { Tty: false } }, "GET /containers/1/logs": text };
  const ran = await cli(["logs", "-f", "-n", "5", "-t", "--since", "10m", "a"], { answers: known });
  expect(ran).toMatchObject({ status: 0, out: "out\n", err: "err\n" });
  expect(ran.asked[1]).toBe(
    "GET /containers/1/logs?stdout=true&stderr=true&details=false&follow=true&tail=5&timestamps=true&since=10m",
  );
  const tty = {
    "GET /containers/a/json": { Id: "1", Config: { Tty: true } },
    "GET /containers/1/logs": "as it is\r\n",
  };
  expect((await cli(["logs", "a"], { answers: tty })).out).toBe("as it is\r\n");
  expect(await cli(["logs", "nope"], { answers: { "GET /containers/nope/json": gone } })).toMatchObject({ status: 1 });
});

test("export writes the whole file or none, and not to a terminal", async () => {
  const cwd = mkdtempSync("/tmp/berth-cli-");
  const known = { "GET /containers/a/export": "archive", "GET /containers/nope/export": gone };
  try {
    expect(await cli(["export", "-o", "x.tar", "a"], { answers: known, cwd })).toMatchObject({ status: 0, out: "" });
    expect(readFileSync(`${cwd}/x.tar`, "utf8")).toBe("archive");
    expect(await cli(["export", "-o", "y.tar", "nope"], { answers: known, cwd })).toMatchObject({ status: 1 });
    expect(readdirSync(cwd)).toEqual(["x.tar"]);
    expect((await cli(["export", "a"], { answers: known })).out).toBe("archive");
    expect(await cli(["export", "-o", "/dev/null", "a"], { answers: known })).toMatchObject({ status: 0 });
    expect(await cli(["export", "-o", "no/such/x.tar", "a"], { answers: known, cwd })).toMatchObject({ status: 1 });
    const refused = await cli(["export", "a"], { answers: known, terminal: 80 });
    expect(refused).toMatchObject({
      status: 1,
      err: "cowardly refusing to save to a terminal. Use the -o flag or redirect\n",
    });
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
