import { expect, test } from "bun:test";
import { parseDockerfile } from "./dockerfile/dockerfile.ts";
import { outlineOf, targetsOf } from "./outline.ts";

const platform = { os: "linux", architecture: "amd64" };
const file = parseDockerfile(`# VERSION of the tool
ARG VERSION=1.2
ARG UNUSED=x
ARG TAG=1
# base has everything
FROM img:$TAG AS base
# WHO is greeted
ARG WHO=nobody
ENV E=env
ARG FULL=\${E}-\${WHO}
ARG VERSION
RUN --mount=type=secret,target=/run/tok,required --mount=type=ssh true
FROM --platform=linux/arm64 scratch AS aside
ARG ASIDE
RUN --mount=type=ssh,id=other true
FROM base AS final
RUN --mount=type=secret,id=\${WHO} true
`);
const given = { file, args: {}, labels: {}, targetPlatform: platform, buildPlatform: platform, platformGiven: false };

test("the targets of a Dockerfile, with what comments say of them", () => {
  const lines = (line: number) => ({ line, endLine: line });
  expect(targetsOf(file)).toEqual([
    { name: "base", description: "has everything", isDefault: false, base: "img:$TAG", lines: lines(6) },
    { name: "aside", isDefault: false, base: "scratch", platform: "linux/arm64", lines: lines(13) },
    { name: "final", isDefault: true, base: "base", lines: lines(16) },
  ]);
});

test("what a target can be given: of the stages that it needs, and of the arguments in front what these use", () => {
  const { args, secrets, ssh, ...named } = outlineOf({ ...given, args: { WHO: "you" } });
  expect(named).toEqual({ name: "final" });
  expect(args.map(({ name, value, description }) => [name, value, description])).toEqual([
    ["VERSION", "1.2", "of the tool"],
    ["TAG", "1", undefined],
    ["WHO", "you", "is greeted"],
    ["FULL", "env-you", undefined],
  ]);
  expect(secrets.map(({ id, required }) => [id, required])).toEqual([
    ["tok", true],
    ["you", false],
  ]);
  expect(ssh.map(({ id }) => id)).toEqual(["default"]);
  const aside = outlineOf({ ...given, target: "aside" });
  expect([aside.args.map(({ name, value }) => [name, value]), aside.ssh.map(({ id }) => id)]).toEqual([
    [["ASIDE", undefined]],
    ["other"],
  ]);
});

test("a target that is not there, and a mount that is none, are invalid", () => {
  expect(() => outlineOf({ ...given, target: "nope" })).toThrow('target stage "nope" could not be found');
  const bad = parseDockerfile("FROM scratch\nRUN --mount=type=secret true\n");
  expect(() => outlineOf({ ...given, file: bad })).toThrow("invalid secret mount");
});
