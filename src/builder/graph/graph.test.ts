import { describe, expect, test } from "bun:test";
import type { ImageConfig, ImageRunConfig } from "../../oci/mod.ts";
import { parseDockerfile } from "../dockerfile/dockerfile.ts";
import { type BuildGraph, type GraphOptions, imageKey, type ResolvedImage } from "./graph.ts";
import { toGraph } from "./to-graph.ts";

const amd64 = { os: "linux", architecture: "amd64" };
const hex = (digit: string) => `sha256:${digit.repeat(64)}` as const;

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function image(digit: string, config: ImageRunConfig = {}): ResolvedImage {
  const whole: ImageConfig = { ...amd64, config, rootfs: { type: "layers", diff_ids: [hex(digit)] } };
  return { id: hex(digit), config: whole };
}

const known: Readonly<Record<string, ResolvedImage>> = {
  base: image("a", { Env: ["PATH=/bin"], Cmd: ["/bin/sh"] }),
  other: image("b"),
  parent: image("c", { OnBuild: ["ENV FROM_PARENT=yes", "COPY --from=tools /t /t"] }),
};

interface Given extends Partial<Omit<GraphOptions, "file" | "images">> {
  readonly images?: Readonly<Record<string, ResolvedImage>>;
}

function outcome(text: string, { images = known, ...given }: Given = {}) {
  return toGraph({
    file: parseDockerfile(text),
    args: {},
    labels: {},
    targetPlatform: amd64,
    buildPlatform: amd64,
    platformGiven: false,
    images: new Map(Object.entries(images).map(([name, one]) => [imageKey({ name }), one])),
    ...given,
  });
}

function graph(text: string, given?: Given): BuildGraph {
  const found = outcome(text, given);
  if (found.kind === "needs") throw new Error(`needs ${found.images.map(({ name }) => name)}`);
  return found.graph;
}

const config = (text: string, given?: Given) => graph(text, given).result.config;
const history = (text: string, given?: Given) => graph(text, given).result.history.map((entry) => entry.createdBy);

describe("stages", () => {
  const diamond = `FROM base AS root
RUN root
FROM root AS left
RUN left
FROM root AS right
RUN right
FROM nowhere AS unused
RUN never
FROM base
COPY --from=left /l /
COPY --from=2 /r /`;

  test("only what the target needs is there, and a shared stage once", () => {
    const { steps, result } = graph(diamond);
    expect(steps.map(({ text }) => text)).not.toContain("RUN never");
    const last = result.vertex;
    const [left, right] = [last?.base?.inputs[0], last?.inputs[0]];
    expect(left?.base).toBeDefined();
    expect(left?.base).toBe(right?.base as NonNullable<typeof left>);
  });

  test("a named context stands for an image or nothing, and hides a stage and an image of its name", () => {
    const contexts = { lib: hex("b"), left: hex("b"), empty: "scratch" };
    const images = { ...known, [hex("b")]: image("b") };
    const text = `FROM nowhere AS left
RUN never
FROM lib
COPY --from=left /l /
COPY --from=empty /e /
RUN --mount=from=left,target=/m x`;
    const { steps, result } = graph(text, { contexts, images });
    expect(steps.map((step) => step.text)).not.toContain("RUN never");
    expect(result.vertex?.base?.inputs).toEqual([]);
    const run = result.vertex;
    expect(run?.inputs[0]?.op).toEqual({ kind: "image", image: hex("b") });
    const copy = run?.base?.base;
    expect([copy?.base?.op, copy?.inputs[0]?.op]).toEqual([
      { kind: "image", image: hex("b") },
      { kind: "image", image: hex("b") },
    ]);
    const needs = outcome("FROM docker.io/library/lib:latest", { contexts });
    expect(needs).toMatchObject({ kind: "needs", images: [{ name: hex("b") }] });
  });

  test("a target by name, in any case", () => {
    expect(graph(diamond, { target: "LEFT" }).steps.map(({ text }) => text)).toEqual([
      "FROM base AS root",
      "RUN root",
      "FROM root AS left",
      "RUN left",
    ]);
    expect(() => graph(diamond, { target: "0" })).toThrow('target stage "0" could not be found');
    expect(() => graph(diamond, { target: "four" })).toThrow('target stage "four" could not be found');
  });

  test("images that are not known are asked for, all at once", () => {
    const text = "FROM one AS a\nFROM two AS b\nFROM three\nCOPY --from=a / /\nCOPY --from=b / /";
    expect(outcome(text)).toMatchObject({
      kind: "needs",
      images: [{ name: "one" }, { name: "three" }, { name: "two" }],
    });
  });

  test("a stage cannot copy from itself or a later one", () => {
    expect(() => graph("FROM base AS me\nCOPY --from=me a b")).toThrow("refers to current or later build stage");
    expect(() => graph("FROM base AS a\nCOPY --from=1 a b\nFROM base", { target: "a" })).toThrow("line 2");
    expect(() => graph("FROM base\nCOPY --from=-1 a b")).toThrow("invalid stage index -1");
  });

  test("what no image can be called is refused, in stages that are not built too", () => {
    expect(() => graph("FROM base AS a\nFROM Base AS b\nFROM A")).toThrow(
      'line 2: failed to parse stage name "Base": invalid reference format: repository name (library/Base) must be lowercase',
    );
    expect(graph("FROM base AS a\nFROM A").steps).toHaveLength(2);
  });

  test("a stage that is named scratch is what scratch means from then on", () => {
    expect(config("FROM base AS scratch\nFROM scratch").Cmd).toEqual(["/bin/sh"]);
    expect(config("FROM scratch AS scratch\nENV a=b").Cmd).toBeUndefined();
  });

  test("triggers run first, may copy from a stage of this file, and are gone", () => {
    const made = graph("FROM base AS tools\nFROM parent\nRUN own");
    expect(made.steps.map(({ text }) => text)).toEqual([
      "FROM base AS tools",
      "FROM parent",
      "ENV FROM_PARENT=yes",
      "COPY --from=tools /t /t",
      "RUN own",
    ]);
    expect(made.result.config).toMatchObject({ OnBuild: null, Env: [defaultPath, "FROM_PARENT=yes"] });
  });

  test("scratch has no vertex, and copies from nothing", () => {
    const made = graph("FROM scratch AS empty\nFROM base\nCOPY --from=empty / /x/");
    expect(made.result.vertex?.op).toMatchObject({ kind: "copy", origin: "stage" });
    expect(made.result.vertex?.inputs).toEqual([]);
    expect(graph("FROM scratch").result).toMatchObject({ platform: amd64 });
  });
});

describe("arguments", () => {
  const run = (text: string, given?: Given) => {
    const { op } = graph(text, given).result.vertex ?? {};
    return op?.kind === "exec" ? op : undefined;
  };

  test("given ones win over defaults; those in front of FROM count where they are declared again", () => {
    const text = "ARG G=global\nARG H=$G-2\nFROM base\nARG G\nARG A=1\nARG B=$A$H\nRUN x";
    expect(run(text)?.env).toEqual(["PATH=/bin", "G=global", "A=1", "B=1"]);
    expect(run(text, { args: { A: "2", G: "given" } })?.env).toEqual(["PATH=/bin", "G=given", "A=2", "B=2"]);
  });

  test("of ENV and ARG the later one counts for RUN, in the image only ENV", () => {
    expect(run("FROM base\nENV A=env\nARG A=arg\nRUN x")?.env).toEqual(["PATH=/bin", "A=arg"]);
    expect(run("FROM base\nARG A=arg\nENV A=env\nRUN x")?.env).toEqual(["PATH=/bin", "A=env"]);
    expect(config("FROM base\nENV A=env\nARG A=arg").Env).toEqual(["PATH=/bin", "A=env"]);
  });

  test("a child stage inherits them, a new one does not", () => {
    expect(run("FROM base AS p\nARG A=1\nFROM p\nRUN x")?.env).toContain("A=1");
    expect(run("FROM base AS p\nARG A=1\nFROM base\nRUN x")?.env).not.toContain("A=1");
  });

  test("proxies need no declaration and leave no trace; declared ones are ordinary", () => {
    const args = { HTTP_PROXY: "http://p", https_proxy: "s" };
    expect(run("FROM base\nRUN x", { args })).toMatchObject({
      env: ["PATH=/bin"],
      hiddenEnv: ["HTTP_PROXY=http://p", "http_proxy=http://p", "HTTPS_PROXY=s", "https_proxy=s"],
    });
    expect(history("FROM base\nRUN x", { args })).toEqual(["RUN /bin/sh -c x # buildkit"]);
    expect(history("FROM base\nARG HTTP_PROXY\nRUN x", { args })[1]).toBe(
      "RUN |1 HTTP_PROXY=http://p /bin/sh -c x # buildkit",
    );
  });

  test("platform arguments: in FROM always, in a stage when declared", () => {
    const images = { base: known["base"] as ResolvedImage };
    const arm = { os: "linux", architecture: "arm64" };
    const text = "FROM --platform=$BUILDPLATFORM base\nARG TARGETARCH\nARG TARGETVARIANT\nRUN x";
    expect(outcome(text, { images, targetPlatform: arm })).toMatchObject({
      kind: "needs",
      images: [{ platform: "linux/amd64" }],
    });
    expect(run(text.replace("--platform=$BUILDPLATFORM ", ""), { targetPlatform: arm })?.env).toEqual([
      "PATH=/bin",
      "TARGETARCH=arm64",
      "TARGETVARIANT=",
    ]);
  });

  test("those that nothing declares are told", () => {
    const args = { A: "1", B: "2", NO_PROXY: "x", TARGETOS: "y" };
    expect(graph("FROM base\nARG A", { args }).unusedArgs).toEqual(["B"]);
  });

  test("FROM with a variable that is empty", () => {
    expect(() => graph("ARG X\nFROM $X")).toThrow("line 2: base name ($X) should not be blank");
  });
});

describe("configuration and history", () => {
  test("every instruction", () => {
    const text = `FROM base
ENV A=1 B="two words"
ENV A=$B
LABEL l=$A m='$A'
EXPOSE 80 8000-8001/UDP $NONE
VOLUME /v /v2
WORKDIR /w
WORKDIR d/../e
USER app:staff
STOPSIGNAL SIGINT
SHELL ["/bin/bash", "-c"]
CMD echo hi
HEALTHCHECK --retries=2 CMD true
MAINTAINER me
ONBUILD RUN x`;
    const made = graph(text).result;
    expect(made.author).toBe("me");
    expect(made.config).toEqual({
      Env: ["PATH=/bin", "A=two words", "B=two words"],
      Labels: { l: "two words", m: "$A" },
      ExposedPorts: { "80/tcp": {}, "8000/udp": {}, "8001/udp": {} },
      Volumes: { "/v": {}, "/v2": {} },
      WorkingDir: "/w/e",
      User: "app:staff",
      StopSignal: "SIGINT",
      Shell: ["/bin/bash", "-c"],
      Cmd: ["/bin/bash", "-c", "echo hi"],
      Healthcheck: { Test: ["CMD-SHELL", "true"], Retries: 2 },
      OnBuild: ["RUN x"],
    });
    expect(made.history.map(({ createdBy }) => createdBy)).toEqual([
      "ENV A=1 B=two words",
      "ENV A=two words",
      "LABEL l=two words m=$A",
      "EXPOSE [80/tcp 8000/udp 8001/udp]",
      "VOLUME [/v /v2]",
      "WORKDIR /w",
      "WORKDIR /w/e",
      "USER app:staff",
      "STOPSIGNAL SIGINT",
      "SHELL [/bin/bash -c]",
      'CMD ["/bin/bash" "-c" "echo hi"]',
      "HEALTHCHECK {Test:[CMD-SHELL true] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}",
      "MAINTAINER me",
    ]);
  });

  test("ENTRYPOINT drops a CMD that was inherited, not one of its own stage", () => {
    expect(config('FROM base\nENTRYPOINT ["a"]')).toMatchObject({ Entrypoint: ["a"], Cmd: null });
    expect(config('FROM base\nCMD ["b"]\nENTRYPOINT ["a"]')).toMatchObject({ Cmd: ["b"] });
    expect(config('FROM base AS x\nCMD ["b"]\nFROM x\nENTRYPOINT ["a"]')).toMatchObject({ Cmd: null });
  });

  test("an absolute working directory is told as it was written, and processes start in what it means", () => {
    const text = "FROM base\nWORKDIR /a/../b/\nRUN x\nWORKDIR c/";
    expect(config(text).WorkingDir).toBe("/b/c");
    expect(history(text)).toEqual(["WORKDIR /a/../b/", "RUN /bin/sh -c x # buildkit", "WORKDIR /b/c"]);
    expect(graph(text).result.vertex?.base?.op).toMatchObject({ cwd: "/b" });
  });

  test("here-documents are copied after everything else", () => {
    expect(history("FROM base\nCOPY <<E a /x/\na\nE")).toEqual(["COPY a <<E /x/ # buildkit"]);
  });

  test("times of a health check are told to the nanosecond", () => {
    const [told] = history("FROM base\nHEALTHCHECK --interval=1m0.000000001s --timeout=1h1.5s CMD x");
    expect(told).toContain("Interval:1m0.000000001s Timeout:1h0m1.5s");
  });

  test("--label is the last instruction", () => {
    const made = graph("FROM base\nLABEL a=1", { labels: { a: "2", b: "3" } });
    expect(made.result.config.Labels).toEqual({ a: "2", b: "3" });
    expect(made.steps.at(-1)?.text).toBe("LABEL a=2 b=3");
  });

  const scripts: Record<string, [string, readonly string[]]> = {
    "a here-document alone is a script of the shell": ["RUN <<E\na\nb\nE", ["/bin/sh", "-c", "a\nb\n"]],
    "one for a command goes to the shell as it stands": ["RUN <<E cat\na\nE", ["/bin/sh", "-c", "<<E cat\na\nE"]],
    "one with an interpreter is a file": ["RUN <<E\n#!/bin/awk\nE", ["/bin/sh", "-c", "/dev/pipes/E"]],
  };
  test.each(Object.entries(scripts))("%s", (_, [text, args]) => {
    expect(graph(`FROM base\n${text}`).result.vertex?.op).toMatchObject({ args });
  });

  test("COPY: destinations start at WORKDIR and keep their slash; here-documents expand unless quoted", () => {
    const text = "FROM base\nENV A=x\nWORKDIR /w\nCOPY --chmod=750 a$A <<E <<'F' ../d/\n$A\nE\n$A\nF";
    expect(graph(text).result.vertex?.op).toMatchObject({
      destination: "/d/",
      chmod: "750",
      sources: [
        { kind: "path", path: "ax" },
        { kind: "text", name: "E", text: "x\n" },
        { kind: "text", name: "F", text: "$A\n" },
      ],
    });
  });

  test("ADD knows URLs and repositories", () => {
    const text = "FROM base\nADD --keep-git-dir http://h/f https://h/r.git#v1:a git@h:o/r file.git /d/";
    expect(graph(text).result.vertex?.op).toMatchObject({
      sources: [
        { kind: "url", url: "http://h/f" },
        { kind: "git", git: { remote: "https://h/r.git", ref: "v1", subdir: "a", keepGitDir: true } },
        { kind: "git", git: { remote: "git@h:o/r" } },
        { kind: "path", path: "file.git" },
      ],
    });
  });

  test("mounts expand every word, and targets start at WORKDIR", () => {
    const text = `FROM base
ENV T=cache D=/c
WORKDIR /w
RUN --mount=type=$T,target=$D,id=i,sharing=locked,mode=0700,uid=5 --mount=target=in,rw --mount=type=secret,id=s \\
  --mount=type=secret,target=/k/name --mount=type=secret,id=e,env=E --mount=type=ssh --mount=type=tmpfs,dst=t,size=1.5m x`;
    const { op } = graph(text).result.vertex ?? {};
    expect(op?.kind === "exec" && op.mounts).toMatchObject([
      { type: "cache", target: "/c", id: "i", sharing: "locked", mode: 0o700, uid: 5, readonly: false },
      { type: "bind", target: "/w/in", readonly: false },
      { type: "secret", target: "/run/secrets/s", id: "s", readonly: true },
      { type: "secret", target: "/k/name", id: "name" },
      { type: "secret", target: "", id: "e", env: "E" },
      { type: "ssh", target: "", id: "default" },
      { type: "tmpfs", target: "/w/t", size: 1.5 * 1024 * 1024 },
    ]);
  });

  test("secrets and agents have ids and targets of their own", () => {
    const mount = (text: string) => {
      const { op } = graph(`FROM base\nWORKDIR /w\nRUN --mount=${text} x`).result.vertex ?? {};
      const [made] = op?.kind === "exec" ? op.mounts : [];
      return [made?.id, made?.target, made?.env, made?.required];
    };
    expect(mount("type=secret,id=a/b")).toEqual(["a/b", "/run/secrets/b", undefined, false]);
    expect(mount("type=secret,src=s")).toEqual(["s", "/run/secrets/s", undefined, false]);
    expect(mount("type=secret,target=/x/key,required")).toEqual(["key", "/x/key", undefined, true]);
    expect(mount("type=secret,id=a,env=TOKEN")).toEqual(["a", "", "TOKEN", false]);
    expect(mount("type=secret,id=a,env=TOKEN,target=/x")).toEqual(["a", "/x", "TOKEN", false]);
    expect(mount("type=ssh")).toEqual(["default", "", undefined, false]);
    expect(mount("type=ssh,target=/agent")).toEqual(["default", "/agent", undefined, false]);
    expect(mount("type=ssh,id=work,target=/agent,required=true")).toEqual(["work", "/agent", undefined, true]);
  });

  const errors: Record<string, string> = {
    "FROM --platform=bogus a": '"bogus": unknown operating system or architecture: invalid argument',
    "FROM --platform=a/b/c/d a": '"a/b/c/d": cannot parse platform specifier: invalid argument',
    "FROM --platform=li*nux/amd64 a": '"li*nux" is an invalid OS component of "li*nux/amd64"',
    "FROM --platform=linux/${TARGETARHC} a": // biome-ignore lint/suspicious/noTemplateCurlyInString: Dockerfile
      'failed to parse platform linux/${TARGETARHC}: "" is an invalid component of "linux/"',
    "EXPOSE x": "invalid containerPort: x",
    "EXPOSE 80/xyz": "invalid proto: xyz",
    "EXPOSE 70000": "invalid containerPort: 70000",
    "STOPSIGNAL SIGNOTHING": "invalid signal: SIGNOTHING",
    "VOLUME $NONE": "VOLUME specified can not be an empty string",
    "COPY --link --chown=app a /c": "--chown=app: user and group names can't be resolved when used with --link",
    "COPY --chmod=u+q a b": "invalid chmod parameter: 'u+q'",
    "ADD --checksum=md5:0 http://h/f /f": 'invalid checksum "md5:0"',
    "ADD --checksum=sha256:0 a b": "checksum requires HTTP(S) or Git sources",
    "ADD --checksum=sha256:0 http://h/a http://h/b /c/": "checksum can't be specified for multiple sources",
    "COPY http://h/f /f": "source can't be a URL for COPY",
    "COPY git@h:o/r /f": "source can't be a git ref for COPY",
    "ADD --keep-git-dir=false https://h/r.git?keep-git-dir=1 /f": "inconsistent keep-git-dir configuration",
    "ADD https://h/r.git?nope=1 /f": 'unexpected query "nope"',
    "COPY --from=$X a b": "variable expansion is not supported for --from",
    "COPY --from=7 a b": "invalid stage index 7",
    "RUN --mount=type=magic,target=/x a": 'unsupported mount type "magic"',
    "RUN --mount=type=cach,target=/x a": 'unsupported mount type "cach" (did you mean cache?)',
    "RUN --mount=type=tmpfs,target=/x,colour=red a": "unexpected key 'colour' in 'colour=red'",
    "RUN --mount=target=/x,frm=y a": "unexpected key 'frm' in 'frm=y' (did you mean from?)",
    "RUN --mount=type=cache a": 'invalid mount target "/"',
    "RUN --mount=type=bind,target=/x,mode=7 a": 'mode not allowed for "bind" type mounts',
    "RUN --mount=type=bind,target=/x,sharing=locked a": "invalid cache sharing set for bind mount",
    "RUN --mount=type=cache,target=/x,sharing=lockd a": 'unsupported sharing value "lockd" (did you mean locked?)',
    "RUN --mount=type=cache,target a": "invalid field 'target' must be a key=value pair",
    "RUN --mount=type=cache,target=/x,ro=perhaps a": "invalid value for readonly: perhaps",
    "RUN --mount=type=secret a": "invalid secret mount. one of source, target required",
    "RUN --mount=type=secret,env=A a": "invalid secret mount. one of source, target required",
    "RUN --mount=type=secret,id=a,source=b a": "both source and id can't be set",
    "RUN --mount=type=ssh,source=x a": "ssh does not support source",
    "RUN --mount=type=tmpfs,target=/x,size=big a": "invalid value for size: big",
    "RUN --mount=type=cache,target=/x,uid=-1 a": "invalid value -1 for uid",
    'LABEL a="${NONE:?give it}"': "NONE: give it",
  };
  test.each(Object.entries(errors))("%s names its line", (text, message) => {
    expect(() => graph(`FROM base\n${text}`)).toThrow("dockerfile parse error on line 2: ");
    expect(() => graph(`FROM base\n${text}`)).toThrow(message);
  });
});
