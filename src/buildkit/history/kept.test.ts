import { expect, test } from "bun:test";
import { keptOf, keptText } from "./kept.ts";

test("credentials in URLs, caches and proxies are not kept", () => {
  const given = {
    context: "https://user:p@ss@h.test/a.git#main",
    "context:lib": "git://u@h/b.git",
    "build-arg:FROM": "see HTTP://a:b@x/ and https://c:d@y/",
    "build-arg:PLAIN": "me@example.test",
    "build-arg:SSH": "ssh://git@h/c.git ssh://git:p@h/c.git",
    "build-arg:http_proxy": "http://u:p@proxy",
    "build-arg:HTTPS_PROXY": "u:p@proxy:3128",
    "cache-imports": '[{"Type":"gha","Attrs":{"token":"t"}}]',
  };
  expect(keptOf(given, 10_000)).toEqual({
    context: "https://h.test/a.git#main",
    "context:lib": "git://h/b.git",
    "build-arg:FROM": "see HTTP://x/ and https://y/",
    "build-arg:PLAIN": "me@example.test",
    "build-arg:SSH": "ssh://git@h/c.git ssh://git@h/c.git",
  });
});

test("there is so much room in a value, a name and a map, and so much is looked at", () => {
  const long = keptOf({ a: "x".repeat(5000), ["n".repeat(300)]: "gone" }, 10_000);
  expect(Object.entries(long).map(([name, value]) => [name, value.length])).toEqual([["a", 4097]]);
  const many = (size: number) =>
    Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`k${at}`, "x".repeat(size)]));
  expect(Object.keys(keptOf(many(4000), 65_536)).length).toBe(16);
  expect(Object.keys(keptOf(many(4000), 1_000_000)).length).toBe(65);
  expect(keptText(`http://${"u".repeat(5000)}:secret@host/`)).toBe("http://host/");
  expect(keptText(`${"http://user@".repeat(10_000)}h/`)).toMatch(/^(?:http:\/\/)+h?…$/);
  for (const hostile of ["http://", "a", "a://b@", "http://a:"])
    expect(keptText(hostile.repeat(1_000_000)).length).toBeLessThanOrEqual(4097);
});
