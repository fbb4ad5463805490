import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseMountOptions } from "./mount-options.ts";
import { createMounts, parseMountInfo } from "./mounts.ts";
import { compactOverlay } from "./overlay-data.ts";

const mounts = createMounts();
let dir = "";
beforeEach(() => {
  dir = mkdtempSync("/tmp/berth-mounts-");
});
afterEach(() => {
  const left = mounts.list().filter(({ target }) => target.startsWith(`${dir}/`));
  for (const { target } of left.reverse()) mounts.unmount(target, "detach");
  rmSync(dir, { recursive: true });
});

function make(name: string): string {
  mkdirSync(join(dir, name), { recursive: true });
  return join(dir, name);
}

/** The per-mount options and optional fields of mountinfo. */
function attributes(target: string): string {
  const line = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .find((text) => text.split(" ")[4] === target);
  return line?.split(" - ")[0]?.split(" ").slice(5).join(" ") ?? "";
}

test("mounts a file system with flags and data, lists it, unmounts it", () => {
  const at = make("t");
  mounts.mount({ type: "tmpfs", source: "mine", options: ["nosuid", "nodev", "size=1m", "mode=0711"] }, at);
  expect(mounts.list()).toContainEqual({ target: at, type: "tmpfs", source: "mine", peers: [] });
  expect(attributes(at)).toStartWith("rw,nosuid,nodev");
  expect(() => writeFileSync(join(at, "big"), Buffer.alloc(2 << 20))).toThrow("ENOSPC");
  mounts.unmount(at);
  expect(mounts.list().some(({ target }) => target === at)).toBe(false);
});

test("unmounting what is not mounted or not there is no error", () => {
  mounts.unmount(make("t"));
  mounts.unmount(join(dir, "nope"), "detach");
});

test("a busy mount says EBUSY and goes with detach", () => {
  const at = make("t");
  mounts.mount({ type: "tmpfs", source: "none", options: [] }, at);
  mkdirSync(join(at, "sub"));
  mounts.mount({ type: "tmpfs", source: "none", options: [] }, join(at, "sub"));
  expect(() => mounts.unmount(at)).toThrow(`Unmount ${at}: EBUSY`);
  mounts.unmount(at, "detach");
  expect(existsSync(join(at, "sub"))).toBe(false);
});

test("errors name the errno, the source, the target and the options", () => {
  const what = { type: "bind", source: join(dir, "nope"), options: ["bind"] };
  expect(() => mounts.mount(what, dir)).toThrow(`Mount ${dir}/nope on ${dir}, type bind, options bind: ENOENT`);
  expect(() => mounts.mount({ type: "nofs", source: "x", options: [] }, dir)).toThrow("ENODEV");
});

test("a read-only bind is read-only, and its source is not", () => {
  const [from, to] = [make("from"), make("to")];
  mounts.mount({ type: "bind", source: from, options: ["bind", "ro", "nosuid", "noexec"] }, to);
  expect(() => writeFileSync(join(to, "x"), "")).toThrow("EROFS");
  writeFileSync(join(from, "x"), "y");
  expect(readFileSync(join(to, "x"), "utf8")).toBe("y");
  expect(attributes(to)).toStartWith("ro,nosuid,noexec");
});

test("a recursive read-only bind is read-only all the way down; a plain one leaves submounts out", () => {
  const [from, to, flat] = [make("from"), make("to"), make("flat")];
  mounts.mount({ type: "tmpfs", source: "none", options: [] }, make("from/sub"));
  mounts.mount({ type: "none", source: from, options: ["rbind", "ro"] }, to);
  expect(() => writeFileSync(join(to, "sub/x"), "")).toThrow("EROFS");
  writeFileSync(join(from, "sub/x"), "");
  mounts.mount({ type: "bind", source: from, options: ["bind"] }, flat);
  expect(existsSync(join(flat, "sub/x"))).toBe(false);
});

test("a bind remount changes attributes both ways and keeps the others", () => {
  const [from, to] = [make("from"), make("to")];
  mounts.mount({ type: "bind", source: from, options: ["bind", "ro", "nodev"] }, to);
  mounts.mount({ type: "", source: "", options: ["remount", "bind", "rw", "noatime"] }, to);
  writeFileSync(join(to, "x"), "");
  expect(attributes(to)).toStartWith("rw,nodev,noatime");
});

test("a remount of a file system reaches the file system", () => {
  const at = make("t");
  mounts.mount({ type: "tmpfs", source: "none", options: ["size=1m"] }, at);
  mounts.mount({ type: "", source: "", options: ["remount", "ro", "size=2m"] }, at);
  expect(() => writeFileSync(join(at, "x"), "")).toThrow("EROFS");
});

test("propagation is set with a mount and alone", () => {
  const at = make("t");
  mounts.mount({ type: "tmpfs", source: "none", options: ["shared"] }, at);
  expect(attributes(at)).toContain("shared:");
  mounts.mount({ type: "", source: "", options: ["rprivate"] }, at);
  expect(attributes(at)).not.toContain("shared:");
  mounts.mount({ type: "bind", source: at, options: ["rbind", "rslave", "unbindable"] }, make("u"));
  expect(attributes(join(dir, "u"))).toContain("unbindable");
});

test("options that would be ignored are refused by name, and leave no mount", () => {
  const [from, to] = [make("from"), make("to")];
  const bad = (options: string[]) => () => mounts.mount({ type: "bind", source: from, options }, to);
  expect(bad(["bind", "size=1m"])).toThrow("size=1m");
  expect(bad(["bind", "lazytime"])).toThrow("lazytime");
  expect(() => mounts.mount({ type: "", source: from, options: ["ro"] }, to)).toThrow("neither");
  expect(mounts.list().some(({ target }) => target === to)).toBe(false);
});

test("too many options for the kernel are refused, not cut off", () => {
  const options = [`uid=0,size=1m,${"x".repeat(5000)}`];
  expect(() => mounts.mount({ type: "tmpfs", source: "none", options }, dir)).toThrow("options of 5014 bytes");
});

test("later words win, propagation and data keep their order", () => {
  const words = parseMountOptions(["ro", "a=1", "rw", "noatime", "", "shared", "b", "rslave"]);
  expect(words).toEqual({ flags: 1024, cleared: 1, propagation: [1 << 20, (1 << 19) | 16384], data: ["a=1", "b"] });
});

test("an overlay of 200 long-named layers, the topmost first, mounts without moving the process", () => {
  const cwd = process.cwd();
  const names = Array.from({ length: 200 }, (_, at) => make(`${"long".repeat(20)}/s/${at.toString(36)}/fs`));
  for (const [at, name] of names.entries()) {
    writeFileSync(join(name, "all"), String(at));
    writeFileSync(join(name, `file${at}`), "");
  }
  const [upper, work, root] = [
    make(`${"long".repeat(20)}/s/upper/fs`),
    make(`${"long".repeat(20)}/s/upper/work`),
    make("m"),
  ];
  const options = [`lowerdir=${names.toReversed().join(":")}`, `upperdir=${upper}`, `workdir=${work}`];
  mounts.mount({ type: "overlay", source: "overlay", options }, root);
  expect(readFileSync(join(root, "all"), "utf8")).toBe("199");
  expect(existsSync(join(root, "file0"))).toBe(true);
  writeFileSync(join(root, "new"), "");
  expect(existsSync(join(upper, "new"))).toBe(true);
  expect(process.cwd()).toBe(cwd);
  expect(existsSync("package.json")).toBe(existsSync(join(cwd, "package.json")));
});

test("overlay directories become relative to what they share, escapes kept", () => {
  const data = [
    "lowerdir=/d\\,x/s/1/fs:/d\\,x/s/2\\:2/fs",
    "upperdir=/d\\,x/s/3/fs",
    "workdir=/d\\,x/s/3/work",
    "index=off",
  ];
  expect(compactOverlay(data)).toEqual({
    base: "/d,x/s/",
    data: "lowerdir=1/fs:2\\:2/fs,upperdir=3/fs,workdir=3/work,index=off",
  });
  expect(compactOverlay(["lowerdir=/a/b:/c/d"])).toBeUndefined();
  expect(compactOverlay(["lowerdir=a:/a"])).toBeUndefined();
});

test("mountinfo is unescaped, with any number of optional fields", () => {
  const text = `36 35 98:0 / /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/a\\134b rw\n37 35 0:1 / /- rw - proc - rw\n`;
  expect(parseMountInfo(text)).toEqual([
    { target: "/mnt 2", type: "ext3", source: "/dev/a\\b", peers: ["master:1", "shared:2"] },
    { target: "/-", type: "proc", source: "-", peers: [] },
  ]);
});
