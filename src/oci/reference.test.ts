import { expect, test } from "bun:test";
import { canonical, chainIds, digestOf, familiar, parseDigest, parseReference, withDefaultTag } from "./mod.ts";

const digest = digestOf("x");

test.each([
  ["nginx", "docker.io/library/nginx", "nginx"],
  ["nginx:1.22", "docker.io/library/nginx:1.22", "nginx:1.22"],
  ["team/app", "docker.io/team/app", "team/app"],
  ["docker.io/library/nginx", "docker.io/library/nginx", "nginx"],
  ["index.docker.io/nginx", "docker.io/nginx", "docker.io/nginx"],
  ["localhost/app", "localhost/app", "localhost/app"],
  ["127.0.0.1:5000/team/app:1.0", "127.0.0.1:5000/team/app:1.0", "127.0.0.1:5000/team/app:1.0"],
  ["[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"],
  [`app@${digest}`, `docker.io/library/app@${digest}`, `app@${digest}`],
  [`app:1@${digest}`, `docker.io/library/app:1@${digest}`, `app:1@${digest}`],
])("%s", (text, full, short) => {
  const ref = parseReference(text);
  expect(canonical(ref)).toBe(full);
  if (text !== "index.docker.io/nginx") expect(familiar(ref)).toBe(short);
});

test.each([
  "",
  "UPPER",
  "a/Upper",
  "-x",
  "x:",
  "x:-t",
  "x@sha256:12",
  "x//y",
  "a b",
  "http://x/y",
  "x/",
  "a".repeat(300),
  "a".repeat(64).replace(/a/g, "f"),
])("%p is refused", (text) => {
  expect(() => parseReference(text)).toThrow("invalid reference format");
});

test("latest is for names without tag and digest", () => {
  expect(familiar(withDefaultTag(parseReference("nginx")))).toBe("nginx:latest");
  expect(familiar(withDefaultTag(parseReference(`nginx@${digest}`)))).toBe(`nginx@${digest}`);
});

test("a chain id of one layer is its diff id, and of more the digest of parent and layer", () => {
  const [a, b] = [digestOf("a"), digestOf("b")];
  expect(chainIds([])).toEqual([]);
  expect(chainIds([a, b])).toEqual([a, digestOf(`${a} ${b}`)]);
});

test("digests are sha256 in lower case", () => {
  expect(parseDigest(digest)).toBe(digest);
  for (const text of ["", "sha512:00", digest.toUpperCase(), `${digest}0`, "../../etc/passwd"])
    expect(() => parseDigest(text)).toThrow("invalid digest");
});
