import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cli, refusing } from "../testing/fake.ts";

const now = Math.floor(Date.now() / 1000);
const idOf = (digit: string) => `sha256:${digit.repeat(64)}`;
const image = (Id: string, RepoTags: string[], RepoDigests: string[] = []) => ({
  Id,
  ParentId: "",
  RepoTags,
  RepoDigests,
  Created: now - 2 * 86400,
  Size: 187_400_000,
  SharedSize: -1,
  Labels: null,
  Containers: -1,
});
const digest = idOf("d");
const answers = {
  "GET /images/json": [
    image(idOf("1"), ["nginx:latest", "r:5000/nginx:1"], [`nginx@${digest}`]),
    image(idOf("2"), []),
    image(idOf("3"), [], [`app@${digest}`]),
  ],
};

test("images", async () => {
  expect((await cli(["images"], { answers })).out).toBe(
    [
      "REPOSITORY     TAG       IMAGE ID       CREATED      SIZE",
      "nginx          latest    111111111111   2 days ago   187MB",
      "r:5000/nginx   1         111111111111   2 days ago   187MB",
      "<none>         <none>    222222222222   2 days ago   187MB",
      "app            <none>    333333333333   2 days ago   187MB",
      "",
    ].join("\n"),
  );
});

test.each([
  [["images", "-q"], "111111111111\n111111111111\n222222222222\n333333333333\n"],
  [["image", "ls", "-q", "--no-trunc", "nginx"], `${idOf("1")}\n${idOf("1")}\n${idOf("2")}\n${idOf("3")}\n`],
  [
    ["images", "--digests", "--format", "{{.Repository}}@{{.Digest}}"],
    `nginx@${digest}\nr:5000/nginx@<none>\n<none>@<none>\napp@${digest}\n`,
  ],
])("%j", async (argv, out) => {
  expect(await cli(argv, { answers })).toMatchObject({ status: 0, out });
});

test("images asks for what was named", async () => {
  const ran = await cli(["images", "-a", "-f", "dangling=true", "ng*"], { answers });
  expect(ran.asked).toEqual(['GET /images/json?all=true&filters={"dangling":["true"],"reference":["ng*"]}']);
});

test("history", async () => {
  const items = [
    { Id: idOf("1"), Created: now - 5, CreatedBy: `RUN ${"x".repeat(60)}`, Tags: null, Size: 1000, Comment: "c" },
    { Id: "<missing>", Created: 0, CreatedBy: "base", Tags: null, Size: 0, Comment: "" },
  ];
  const known = {
    "GET /images/a/b/history": items,
    "GET /images/nope/history": refusing("not-found", "No such image: nope"),
  };
  const ran = await cli(["history", "-H=false", "a/b"], { answers: known });
  expect(ran.out).toContain(`RUN ${"x".repeat(40)}…`);
  expect(ran.out).toContain("<missing>      1970-01-01T00:00:00Z   base");
  expect((await cli(["history", "-q", "a/b"], { answers: known })).out).toBe("111111111111\n<missing>\n");
  expect(await cli(["history", "nope"], { answers: known })).toMatchObject({
    status: 1,
    err: "Error response from daemon: No such image: nope\n",
  });
});

test("rmi, tag and inspect", async () => {
  const known = {
    "DELETE /images/r:5/a": [{ Untagged: "r:5/a:latest" }, { Deleted: idOf("1") }],
    "DELETE /images/used": refusing("conflict", "image is being used by running container"),
    "POST /images/a/tag": {},
    "GET /images/a/json": { Id: idOf("1"), Config: { Cmd: ["sh", "-c"] } },
  };
  // A colon need not be escaped in a path, but is.
  const removed = { ...known, "DELETE /images/r%3A5/a": known["DELETE /images/r:5/a"] };
  expect(await cli(["rmi", "-f", "r:5/a", "used"], { answers: removed })).toMatchObject({
    status: 1,
    out: `Untagged: r:5/a:latest\nDeleted: ${idOf("1")}\n`,
    err: "Error response from daemon: image is being used by running container\n",
    asked: ["DELETE /images/r%3A5/a?force=true&noprune=false", "DELETE /images/used?force=true&noprune=false"],
  });
  expect((await cli(["tag", "a", "r:5/b/c:2"], { answers: known })).asked).toEqual([
    "POST /images/a/tag?repo=r:5/b/c&tag=2",
  ]);
  expect((await cli(["tag", "a", "r:5/b"], { answers: known })).asked).toEqual([
    "POST /images/a/tag?repo=r:5/b&tag=latest",
  ]);
  expect((await cli(["image", "inspect", "-f", '{{join .Config.Cmd " "}}', "a"], { answers: known })).out).toBe(
    "sh -c\n",
  );
});

const pulling = [
  { status: "Pulling from library/x", id: "latest" },
  { status: "Pulling fs layer", id: "aaa", progressDetail: {} },
  { status: "Downloading", id: "aaa", progressDetail: { current: 500_000, total: 1_000_000 } },
  { status: "Pull complete", id: "aaa", progressDetail: {} },
  { status: "Digest: sha256:1" },
];

test("pull shows lines where there is no terminal and bars where there is", async () => {
  const known = { "POST /images/create": pulling };
  const plain = await cli(["pull", "x"], { answers: known });
  expect(plain).toMatchObject({
    status: 0,
    out: "Using default tag: latest\nlatest: Pulling from library/x\naaa: Pulling fs layer\naaa: Pull complete\nDigest: sha256:1\ndocker.io/library/x:latest\n",
    asked: ["POST /images/create?fromImage=x&tag=latest"],
  });
  const { out } = await cli(["pull", "r:5/x:1"], { answers: known, terminal: 60 });
  expect(out).toContain("\x1b[1A\r\x1b[2Kaaa: Downloading [=============");
  expect(out).toContain("500kB/1MB\x1b[1B\r");
  for (const line of out.split(/\n|\x1b\[\d?[AB]\r?/)) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(60);
  expect(out).toEndWith("r:5/x:1\n");
});

test("pull: quiet, all tags, a digest, errors in the stream", async () => {
  const known = { "POST /images/create": pulling };
  expect((await cli(["pull", "-q", "x"], { answers: known })).out).toBe("docker.io/library/x:latest\n");
  expect((await cli(["pull", "-a", "me/x"], { answers: known })).asked).toEqual(["POST /images/create?fromImage=me/x"]);
  expect((await cli(["pull", `x@${digest}`], { answers: known })).asked).toEqual([
    `POST /images/create?fromImage=x&tag=${digest}`,
  ]);
  expect(await cli(["pull", "-a", "x:1"])).toMatchObject({ status: 1, err: "tag can't be used with --all-tags/-a\n" });
  const failing = { "POST /images/create": [{ error: "short", errorDetail: { message: "manifest unknown" } }] };
  expect(await cli(["pull", "-q", "x"], { answers: failing })).toMatchObject({ status: 1, err: "manifest unknown\n" });
});

test("push", async () => {
  const known = { "POST /images/r%3A5/a/push": [{ status: "pushed" }, { aux: { Tag: "1" } }] };
  expect(await cli(["push", "r:5/a:1"], { answers: known })).toMatchObject({
    status: 0,
    out: "pushed\n",
    asked: ["POST /images/r%3A5/a/push?tag=1"],
  });
  expect((await cli(["push", "-q", "-a", "r:5/a"], { answers: known })).asked).toEqual(["POST /images/r%3A5/a/push"]);
  expect(await cli(["push", "-a", "r:5/a:1"])).toMatchObject({ status: 1 });
});

test("load, save and import", async () => {
  const cwd = mkdtempSync("/tmp/berth-cli-");
  try {
    writeFileSync(`${cwd}/in.tar`, "12345");
    const known = {
      "POST /images/load": [{ stream: "Loaded image: a:1\n" }],
      "GET /images/get": "archive",
      "POST /images/create": [{ status: idOf("1") }],
    };
    expect(await cli(["load", "-i", "in.tar"], { answers: known, cwd })).toMatchObject({
      status: 0,
      out: "Loaded image: a:1\n",
      bodies: [{ sent: 5 }],
    });
    expect((await cli(["load"], { answers: known, stdin: "abc" })).bodies).toEqual([{ sent: 3 }]);
    expect(await cli(["load", "-i", "none"], { cwd })).toMatchObject({
      status: 1,
      err: "open none: no such file or directory\n",
    });
    expect(await cli(["load"], { terminal: 80 })).toMatchObject({
      status: 1,
      err: "requested load from stdin, but stdin is empty\n",
    });
    expect((await cli(["save", "-o", "out.tar", "a", "b"], { answers: known, cwd })).asked).toEqual([
      "GET /images/get?names=a&names=b",
    ]);
    expect(readFileSync(`${cwd}/out.tar`, "utf8")).toBe("archive");
    expect(await cli(["save", "a"], { answers: known, terminal: 80 })).toMatchObject({ status: 1 });
    const imported = await cli(["import", "-c", "CMD x", "-m", "why", "in.tar", "r:5/a:2"], { answers: known, cwd });
    expect(imported).toMatchObject({ status: 0, out: `${idOf("1")}\n`, bodies: [{ sent: 5 }] });
    expect(imported.asked).toEqual(["POST /images/create?fromSrc=-&repo=r:5/a&tag=2&changes=CMD x&message=why"]);
    expect((await cli(["import", "https://x/y.tar"], { answers: known })).asked).toEqual([
      "POST /images/create?fromSrc=https://x/y.tar",
    ]);
    expect(await cli(["import", "none"], { cwd })).toMatchObject({ status: 1 });
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

test("build", async () => {
  const cwd = mkdtempSync("/tmp/berth-cli-");
  try {
    mkdirSync(`${cwd}/app`);
    writeFileSync(`${cwd}/app/Dockerfile`, "FROM x");
    const built = [{ stream: "Step 1/1 : FROM x\n" }, { aux: { ID: idOf("1") } }, { stream: "Successfully built 1\n" }];
    const known = { "POST /build": built };
    const argv = [
      "build",
      "-t",
      "a:1",
      "--build-arg",
      "A=1",
      "--build-arg",
      "FOO",
      "--label",
      "l=1",
      "--iidfile",
      "id",
      "app",
    ];
    const ran = await cli(argv, { answers: known, cwd, env: { FOO: "foo" } });
    expect(ran).toMatchObject({ status: 0, out: "Step 1/1 : FROM x\nSuccessfully built 1\n" });
    expect(ran.asked[0]).toContain('t=a:1&buildargs={"A":"1","FOO":"foo"}&labels={"l":"1"}');
    expect(ran.asked[0]).toEndWith("&dockerfile=Dockerfile");
    expect(readFileSync(`${cwd}/id`, "utf8")).toBe(idOf("1"));
    expect((await cli(["build", "-q", "app"], { answers: known, cwd })).out).toBe(`${idOf("1")}\n`);
    expect((await cli(["build", "-"], { answers: known, stdin: "FROM y" })).status).toBe(0);
    expect((await cli(["build", "-f", "-", "app"], { answers: known, cwd, stdin: "FROM y" })).asked[0]).toContain(
      "dockerfile=.dockerfile.",
    );
    for (const url of ["https://x/y.git", "git://x/y", "ssh://git@x/y", "git@x:y", "github.com/x/y"]) {
      const { asked } = await cli(["build", "-f", "d/F", url], { answers: known, cwd });
      expect(asked[0]).toContain(`dockerfile=d/F&remote=${url}`);
    }
    expect(await cli(["build", "-f", "-", "git@x:y"], { answers: known, cwd, stdin: "FROM y" })).toMatchObject({
      asked: [],
      err: expect.stringContaining("a Dockerfile from stdin cannot be combined with git@x:y"),
    });
    mkdirSync(`${cwd}/github.com/x`, { recursive: true });
    writeFileSync(`${cwd}/github.com/x/Dockerfile`, "FROM x");
    expect((await cli(["build", "github.com/x"], { answers: known, cwd })).asked.at(-1)).not.toContain("remote=");
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

test("build fails with the step's own status, or for what is missing", async () => {
  const failed = {
    "POST /build": [
      { stream: "Step\n" },
      { error: "e", errorDetail: { message: "returned a non-zero code: 3", code: 3 } },
    ],
  };
  const hint = "For a shell where it failed, build with --on-error=shell.\n";
  expect(await cli(["build", "-"], { answers: failed, stdin: "FROM x" })).toMatchObject({
    status: 3,
    out: "Step\n",
    err: `returned a non-zero code: 3\n${hint}`,
  });
  expect(await cli(["build", "-q", "-"], { answers: failed, stdin: "FROM x" })).toMatchObject({
    status: 3,
    out: "",
    err: `Step\nreturned a non-zero code: 3\n${hint}`,
  });
  const refused = { "POST /build": refusing("invalid", "the Dockerfile (Dockerfile) cannot be empty") };
  expect(await cli(["build", "-"], { answers: refused, stdin: "" })).toMatchObject({
    status: 1,
    err: "Error response from daemon: the Dockerfile (Dockerfile) cannot be empty\n",
  });
  expect(await cli(["build", "/nowhere"])).toMatchObject({
    status: 1,
    err: 'unable to prepare context: path "/nowhere" not found\n',
  });
  expect(await cli(["build", "-f", "-", "-"])).toMatchObject({
    status: 1,
    err: "invalid argument: can't use stdin for both build context and dockerfile\n",
  });
});

test("image attestations: a table, one document, or statements", async () => {
  const predicate = { buildDefinition: { resolvedDependencies: [1] } };
  const statements = [
    { predicateType: "https://slsa.dev/provenance/v1", predicate },
    { predicateType: "https://spdx.dev/Document", predicate: { packages: [1, 2, 3] } },
  ];
  const known = { "GET /images/team/app/attestations": statements, "GET /images/none/attestations": [] };
  const show = (...argv: string[]) => cli(["image", "attestations", ...argv], { answers: known });
  expect((await show("team/app")).out).toBe(
    [
      "TYPE         PREDICATE                        CONTENTS",
      "provenance   https://slsa.dev/provenance/v1   1 materials",
      "sbom         https://spdx.dev/Document        2 packages",
      "",
    ].join("\n"),
  );
  expect(JSON.parse((await show("--type", "sbom", "team/app")).out)).toEqual({ packages: [1, 2, 3] });
  expect(JSON.parse((await show("--type", "provenance", "--json", "team/app")).out)).toEqual([statements[0]]);
  expect(await show("--type", "sbom", "none")).toMatchObject({
    status: 1,
    err: "none has no sbom: build it with --sbom\n",
  });
});

test("build --sbom, --provenance and --attest", async () => {
  const known = { "POST /build": [{ aux: { ID: idOf("1") } }] };
  const asked = async (...argv: string[]) =>
    (await cli(["build", ...argv, "-"], { answers: known, stdin: "FROM x" })).asked[0];
  expect(await asked("--sbom", "--provenance=mode=max")).toContain(
    '&attest=["type=sbom,disabled=false","type=provenance,mode=max"]',
  );
  expect(await asked("--attest", "type=sbom", "--provenance=false")).toContain(
    '&attest=["type=sbom","type=provenance,disabled=true"]',
  );
  expect(await asked()).not.toContain("attest");
  for (const [argv, told] of [
    [["--attest", "type=x"], 'unknown attestation type "x"'],
    [["--sbom=generator=x"], "generator of the attestation sbom is not implemented by Berth"],
    [["--provenance=mode=most"], 'mode "most" is none of min and max'],
    [["--provenance=version=v3"], 'version "v3" is none of v1 and v0.2'],
    [["--provenance=reproducible=x"], 'reproducible "x" is neither true nor false'],
    [["--provenance=x"], "KEY=VALUE is expected"],
    [["--sbom", "-o", "dir"], "attestations with --output type=local are not implemented"],
  ] as const) {
    const { status, err, asked: nothing } = await cli(["build", ...argv, "-"], { answers: known, stdin: "FROM x" });
    expect([status, nothing, err]).toEqual([1, [], expect.stringContaining(told)]);
  }
});
