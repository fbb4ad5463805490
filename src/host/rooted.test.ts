import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { kindOf } from "../errors/mod.ts";
import { rooted } from "./rooted.ts";

let dir = "";
let root = "";
beforeEach(() => {
  dir = mkdtempSync("/tmp/berth-rooted-");
  root = join(dir, "root");
  mkdirSync(join(root, "etc"), { recursive: true });
  mkdirSync(join(dir, "outside"));
  writeFileSync(join(dir, "outside/secret"), "secret");
});
afterEach(() => rmSync(dir, { recursive: true }));

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();

test("reads a file, through symlinks that stay inside", () => {
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0");
  symlinkSync("/etc/passwd", join(root, "absolute"));
  symlinkSync("../../../etc/passwd", join(root, "etc/up"));
  const files = rooted(root);
  for (const name of ["/etc/passwd", "etc/passwd", "absolute", "etc/up", "../../etc/passwd"]) {
    expect(text(files.readFile(name))).toBe("root:x:0:0");
  }
});

test("nothing leads out: symlinks, dots, magic links", () => {
  symlinkSync(join(dir, "outside/secret"), join(root, "a"));
  symlinkSync("../outside/secret", join(root, "b"));
  symlinkSync("../outside", join(root, "c"));
  symlinkSync("loop", join(root, "loop"));
  const files = rooted(root);
  for (const name of ["a", "b", "c/secret", "../outside/secret", "loop", "etc/passwd/x"]) {
    expect(files.readFile(name)).toBeUndefined();
    expect(files.resolve(name)).toBeUndefined();
  }
  expect(rooted("/").readFile("/proc/self/cwd/package.json")).toBeUndefined();
});

test("reads regular files only, up to the limit, and never waits for a FIFO", () => {
  writeFileSync(join(root, "big"), "x".repeat(5000));
  Bun.spawnSync(["mkfifo", join(root, "fifo")]);
  const files = rooted(root);
  expect(files.readFile("fifo")).toBeUndefined();
  expect(files.readFile("etc")).toBeUndefined();
  expect(files.readFile("big", 5000)?.length).toBe(5000);
  expect(() => files.readFile("big", 4999)).toThrow("big has 5000 bytes");
  expect(text(files.readFile("/"))).toBeUndefined();
});

test("a file whose size the kernel does not say is read to its end", () => {
  const files = rooted("/proc");
  expect(text(files.readFile("sys/kernel/ostype"))).toBe("Linux\n");
  expect(() => files.readFile("kallsyms", 100)).toThrow("more than 100 bytes");
});

test("stat does not follow the last symlink", () => {
  writeFileSync(join(root, "f"), "abc");
  chmodSync(join(root, "f"), 0o4751);
  symlinkSync("f", join(root, "l"));
  const files = rooted(root);
  expect(files.stat("f")).toMatchObject({ type: "file", mode: 0o4751, size: 3, uid: 0, gid: 0 });
  expect(files.stat("f")?.mtimeNs).toBe(lstatSync(join(root, "f"), { bigint: true }).mtimeNs);
  expect(files.stat("l")?.type).toBe("symlink");
  expect(files.stat("/")?.type).toBe("directory");
  expect(files.stat("nope")).toBeUndefined();
  expect(rooted("/dev").stat("null")?.type).toBe("other");
});

test("resolve names the real host path", () => {
  mkdirSync(join(root, "real"));
  symlinkSync("/real", join(root, "link"));
  const files = rooted(root);
  expect(files.resolve("link")).toBe(join(root, "real"));
  expect(files.resolve("/")).toBe(root);
  expect(files.resolve("link/../..")).toBe(root);
  expect(files.resolve("link/x")).toBeUndefined();
});

test("mkdirs makes what is missing with mode and owner, whatever the umask, and leaves what is there", () => {
  chmodSync(join(root, "etc"), 0o700);
  rooted(root).mkdirs("/etc/a//./b/", { mode: 0o1777, uid: 5, gid: 6 });
  for (const name of ["etc/a", "etc/a/b"]) {
    expect(rooted(root).stat(name)).toMatchObject({ mode: 0o1777, uid: 5, gid: 6 });
  }
  expect(rooted(root).stat("etc")?.mode).toBe(0o700);
  rooted(root).mkdirs("x");
  expect(rooted(root).stat("x")).toMatchObject({ mode: 0o755, uid: 0, gid: 0 });
});

test("mkdirs goes through symlinks inside the root and makes the target of a dangling one", () => {
  symlinkSync("/run/lock", join(root, "lock"));
  symlinkSync("../../../outside", join(root, "etc/out"));
  rooted(root).mkdirs("lock/mine");
  rooted(root).mkdirs("etc/out/new");
  expect(existsSync(join(root, "run/lock/mine"))).toBe(true);
  expect(existsSync(join(root, "outside/new"))).toBe(true);
  expect(readdirSync(join(dir, "outside"))).toEqual(["secret"]);
});

test("mkdirs refuses a component that is a file, and endless symlinks", () => {
  writeFileSync(join(root, "f"), "");
  symlinkSync("l2", join(root, "l1"));
  symlinkSync("l1", join(root, "l2"));
  const fails = (path: string) => {
    try {
      rooted(root).mkdirs(path);
    } catch (err) {
      return `${kindOf(err)}: ${(err as Error).message}`;
    }
    return "no error";
  };
  expect(fails("f/x")).toBe("invalid: f/x: f is not a directory");
  expect(fails("l1/x")).toBe("invalid: Too many symbolic links in l1/x");
  expect(fails("a\0b")).toStartWith("invalid: NUL");
});

test("a directory that is swapped for a symlink again and again never leads out", async () => {
  mkdirSync(join(root, "d"));
  writeFileSync(join(root, "d/secret"), "mine");
  symlinkSync(join(dir, "outside"), join(root, "link"));
  const swap = `
    const { dlopen } = require("bun:ffi");
    const args = ["i32", "cstring", "i32", "cstring", "u32"];
    const { symbols } = dlopen("libc.so.6", { renameat2: { args, returns: "i32" } });
    process.chdir(${JSON.stringify(root)});
    const [here, d, link, exchange] = [-100, Buffer.from("d\\0"), Buffer.from("link\\0"), 2];
    console.log("go");
    for (;;) if (symbols.renameat2(here, d, here, link, exchange) !== 0) throw new Error("renameat2");`;
  const child = Bun.spawn([process.execPath, "-e", swap], { stdout: "pipe" });
  try {
    await child.stdout.getReader().read();
    const files = rooted(root);
    const seen = new Set<string | undefined>();
    for (let at = 0; at < 20_000; at++) {
      seen.add(text(files.readFile("d/secret")));
      expect(files.resolve("d/secret")).not.toBe(join(dir, "outside/secret"));
      try {
        files.mkdirs(`d/new/${at % 50}`);
      } catch (err) {
        expect(["unavailable", "invalid"]).toContain(kindOf(err));
      }
    }
    expect(seen).toEqual(new Set(["mine", undefined]));
    expect(readdirSync(join(dir, "outside"))).toEqual(["secret"]);
  } finally {
    child.kill(9);
    await child.exited;
  }
});
