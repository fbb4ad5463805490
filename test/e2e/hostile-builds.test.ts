import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { buildOf, nothingIsLeftOfBuilds, outside, whileAnswering } from "../support/builds.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { residentMiB } from "../support/memory.ts";
import { type Entry, tar } from "../support/tar.ts";

/** Whatever is built, the daemon answers and stays small, the next build succeeds, and nothing is outside or left. */
let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
afterEach(async () => {
  await nothingIsLeftOfBuilds(engine);
  expect(existsSync(outside)).toBe(false);
  expect(residentMiB(engine.pid)).toBeLessThan(600);
  expect((await build(["FROM busybox", "RUN true"])).said).toContain("Successfully built");
});

const file = (lines: readonly string[]): Entry => ({ name: "Dockerfile", data: `${lines.join("\n")}\n` });
const build = (lines: readonly string[], files: readonly Entry[] = [], query = "") =>
  buildOf(engine, [file(lines), ...files], query);
const many = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => make(index));
const link = (name: string, target: string): Entry => ({ name, type: "symlink", link: target });

describe("a context's archive", () => {
  const refused: Record<string, [Entry[], string]> = {
    "a name with ..": [[{ name: "../evil", data: "x" }], 'invalid name in archive: "../evil" points outside'],
    "a hard link with ..": [[{ name: "h", type: "hardlink", link: "../../etc/passwd" }], "points outside"],
    "a hard link to a file of the host": [
      [{ name: "h", type: "hardlink", link: "/etc/passwd" }],
      'hard link to "/etc/passwd", which the archive does not hold',
    ],
    "a hard link through a symlink": [
      [link("etc", "../../../../../../../etc"), { name: "h", type: "hardlink", link: "etc/passwd" }],
      "too many levels of symbolic links",
    ],
    "a name that no file system has": [
      [{ name: "x", pax: { path: "a/".repeat(4000) }, data: "x" }],
      "… has 7999 bytes",
    ],
    "a size that it has not": [[{ name: "x", size: 8_000_000_000, data: "x" }], "Truncated tar archive"],
    "a Dockerfile that is a link out of it": [[{ ...link("Dockerfile", "/etc/passwd") }], "Cannot locate specified"],
    "a Dockerfile that is a pipe": [[{ name: "Dockerfile", type: "fifo" }], "Cannot locate specified Dockerfile"],
  };
  test.each(Object.entries(refused))("is refused with %s", async (_, [entries, why]) => {
    const { status, said } = await build(["FROM busybox", "COPY . /x/"], entries);
    expect([status, said]).toEqual([400, expect.stringContaining(why)]);
  });

  test("cannot write through its own symlinks", async () => {
    const through = [link("l", outside), { name: "l/evil", data: "x" }];
    const { said } = await build(["FROM busybox", "COPY . /x/", "RUN find /x"], through);
    expect(said).toContain("/x/tmp/berth-hostile-build/evil\n");
  });

  test("may hold devices, which are no use", async () => {
    const memory: Entry = { name: "m", type: "char", device: [1, 1] };
    const { said } = await build(["FROM busybox", "COPY m /m", "RUN head -c 1 /m"], [memory]);
    expect(said).toContain("head: /m: Operation not permitted");
    const mark: Entry = { name: "m", type: "char", device: [0, 0] };
    expect((await build(["FROM busybox", "COPY m /m"], [mark])).said).toContain("would mean a deletion");
  });

  test("may hold pipes, which nobody waits for", async () => {
    const { said } = await build(
      ["FROM busybox", "COPY p /a", "ADD p /b", "RUN ls -l /a /b"],
      [{ name: "p", type: "fifo" }],
    );
    expect(said).toMatch(/prw.* \/a\nprw.* \/b\n/);
  });
});

describe("sources that lead out", () => {
  test("are refused in a context", async () => {
    const out = [link("abs", "/etc/passwd"), link("up", "../../../../../../../../etc/passwd")];
    const said = async (line: string) => (await build(["FROM busybox", line], out)).said;
    expect(await said("COPY ../../etc/passwd /x")).toContain("forbidden path outside the build context");
    for (const name of ["abs", "up", "a*s"])
      expect(await said(`ADD ${name} /x`)).not.toContain("root:x:0:0:root:/root:/bin/bash");
    expect(await said("COPY abs /x")).toContain("file not found in build context");
    expect(await said("RUN --mount=source=up,target=/m cat /m")).toContain("file not found in build context");
  });

  test("of a stage start at its root", async () => {
    const { said } = await build([
      "FROM busybox AS a",
      "RUN ln -s ../../../../../../../../etc/passwd /up; ln -s /etc /abs; ln -s /nowhere /gone",
      "FROM busybox",
      "COPY --from=a ../../up /p",
      "COPY --from=a /abs/group /g",
      "RUN cmp /p /etc/passwd && cmp /g /etc/group && echo same",
      "COPY --from=a /gone /x",
    ]);
    expect(said).toMatch(/same\n[\s\S]*COPY failed: stat gone: file does not exist$/);
  });

  test("and destinations too", async () => {
    const { said } = await build([
      "FROM busybox",
      `RUN ln -s ../../../../../..${outside} /up; ln -s ${outside} /abs; ln -s loop /loop`,
      "COPY Dockerfile /up/x",
      "ADD Dockerfile /abs/y",
      "WORKDIR /up/../w",
      "RUN --mount=type=cache,target=/up/c true",
      `RUN pwd; ls ${outside}`,
      "COPY Dockerfile /loop/x",
    ]);
    expect(said).toMatch(/\/up\/\.\.\/w\n|\/w\n/);
    expect(said).toMatch(/x\ny\n[\s\S]*too many levels of symbolic links: \/loop$|x\ny\n[\s\S]*too many levels/);
  });
});

describe("archives of ADD", () => {
  const add = (entries: Entry[], ...lines: string[]) =>
    build(["FROM busybox", "ADD a.tar /x/", ...lines], [{ name: "a.tar", data: tar(...entries) }]);

  test("that lead out are refused", async () => {
    const said = async (...entries: Entry[]) => (await add(entries)).said;
    expect(await said({ name: "../evil", data: "x" })).toContain("points outside");
    expect(await said({ name: "h", type: "hardlink", link: "../etc/passwd" })).toContain("points outside");
    expect(await said(link("l", "/"), { name: "h", type: "hardlink", link: "/l/etc/shadow" })).toContain(
      "does not hold",
    );
    expect(await said({ name: "l", type: "symlink", pax: { linkpath: "a/".repeat(4000) } })).toContain("ENAMETOOLONG");
    expect(await said({ name: "z", type: "char", device: [0, 0] })).toContain("would mean a deletion");
    expect(await said({ name: ".wh.z" })).toContain("it would mean a deletion");
  });

  test("stay inside, and leave out what only the kernel may say", async () => {
    const opaque = { "SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.redirect": "/etc" };
    const { said } = await build(
      ["FROM busybox", "ADD a.tar /", `RUN ls ${outside} /bin/sh && test -f /f && echo there`],
      [
        {
          name: "a.tar",
          data: tar(
            link("l", outside),
            { name: "l/e", data: "x" },
            { name: "bin/", type: "directory", pax: opaque },
            {
              name: "f",
              pax: { ...opaque, "SCHILY.xattr.system.posix_acl_access": "garbage", "SCHILY.xattr.user.a": "b" },
            },
          ),
        },
      ],
    );
    expect(said).toContain("there\n");
  });
});

describe("a Dockerfile", () => {
  const bad: Record<string, [readonly string[], string]> = {
    "of 10,000 stages": [many(10_000, (index) => `FROM busybox AS s${index}`), "at most 2000 stages"],
    "of 100,000 instructions": [["FROM busybox", ...many(100_000, () => "RUN true")], "at most 20000 instructions"],
    "of 10,000 arguments": [["FROM busybox", ...many(10_000, (index) => `ARG a${index}=b`)], "at most 1000 variables"],
    "of 10,000 global arguments": [[...many(10_000, (index) => `ARG a${index}=b`), "FROM busybox"], "at most 1000 ARG"],
    "that doubles": [["FROM busybox", "ENV A=abcdefgh", ...many(40, () => "ENV A=$A$A")], "the result is longer than"],
    "of 16 MiB": [["FROM busybox", ...many(250_000, () => `# ${"x".repeat(62)}`)], "Dockerfile is larger than 1 MiB"],
    "of one long line": [
      ["FROM busybox", `RUN ${"x".repeat(1_000_000)}`],
      "line greater than max allowed size of 65535",
    ],
    "in a circle": [
      ["FROM busybox AS a", "COPY --from=b / /", "FROM a AS b"],
      "refers to current or later build stage",
    ],
    "of itself": [["FROM busybox AS a", "COPY --from=a / /"], "circular dependency detected on stage: a"],
    "with chained triggers": [["FROM busybox", "ONBUILD ONBUILD RUN true"], "Chaining ONBUILD via `ONBUILD ONBUILD`"],
    "with a FROM as trigger": [["FROM busybox", "ONBUILD FROM x"], "FROM isn't allowed as an ONBUILD trigger"],
    "whose trigger makes a circle": [
      ["FROM busybox AS a", "ONBUILD COPY --from=b / /", "FROM a AS b"],
      "circular dependency detected on stage: b",
    ],
    "with heredocs that do not end": [["FROM busybox", `COPY ${"<<E ".repeat(2000)}/x/`, "E"], "unterminated heredoc"],
  };
  test.each(Object.entries(bad))("%s is refused with its place, while others are answered", async (_, [lines, why]) => {
    const { status, said, silence } = await whileAnswering(engine, build(lines));
    expect([status, said.slice(0, 400)]).toEqual([400, expect.stringContaining(why)]);
    expect(said.length).toBeLessThan(200_000);
    expect(silence).toBeLessThan(10_000);
  });

  const endless: Record<string, readonly string[]> = {
    "20,000 steps of 900 variables": [
      ...[
        "# check=error=true",
        "FROM scratch",
        ...many(900, (index) => `ENV A${index}=b`),
        ...many(19_000, (index) => `RUN echo $A ${index}`),
      ],
      "maintainer $B",
    ],
    "15,000 triggers, read by 1000 stages": [
      ...[
        "# check=error=true",
        "FROM scratch AS a",
        ...many(15_000, (index) => `ONBUILD RUN echo ${index}`),
        ...many(1000, () => "FROM a"),
      ],
      "maintainer $B",
    ],
    "a label of 60,000 words": [
      ...["# check=error=true", "FROM scratch", "LABEL \\", ...many(60_000, () => 'a="$b c" \\'), "z=1"],
      "maintainer $B",
    ],
  };
  test.each(Object.entries(endless))("of %s is planned in slices", async (_, lines) => {
    const { status, said, silence } = await whileAnswering(engine, build(lines));
    expect([status, said.slice(0, 400)]).toEqual([
      400,
      expect.stringContaining("lint violation found for rules: ConsistentInstructionCasing"),
    ]);
    expect(silence).toBeLessThan(1000); // calm some 50 ms; in one piece it was seconds
  });

  test("may hold much that is meant so", async () => {
    const labels = many(900, (index) => `LABEL l${index}=${"x".repeat(1000)}`);
    const documents = ["RUN <<A <<B", "cat <<C", "<<A", "C", "A", "echo b", "B"];
    const { said } = await whileAnswering(engine, build(["FROM busybox", ...labels, ...documents]));
    expect(said).toContain("Successfully built");
  });

  test("patterns that try every way are none", async () => {
    const name = "a".repeat(99);
    const stars = `${"*a".repeat(30)}b`;
    const patterns = many(1000, () => stars).join("\n");
    const { said } = await whileAnswering(
      engine,
      build(
        ["FROM busybox", `COPY ${name} ${stars} /x/`, `COPY --exclude=${stars} . /y/`, "RUN ls /y"],
        [
          { name, data: "x" },
          { name: ".dockerignore", data: patterns },
          { name: "Dockerfile.dockerignore", data: patterns },
        ],
      ),
    );
    expect(said).toContain(`${name}\n`);
    const large = { name: ".dockerignore", data: "a*b\n".repeat(300_000) };
    expect((await build(["FROM busybox"], [large])).said).toBe(".dockerignore is larger than 1 MiB");
  });
});
