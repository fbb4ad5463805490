import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createWorkers } from "../workers.ts";
import { deviceParts, readXattr, readXattrs, setTimes, setXattr } from "./attributes.ts";
import { copyTree } from "./copy.ts";
import { removeTree } from "./remove.ts";
import { usageOf } from "./usage.ts";

const scratch = mkdtempSync(join(tmpdir(), "berth-tree-"));
const workers = createWorkers({ size: 1 });
let at = "";
let round = 0;

beforeEach(() => {
  at = join(scratch, `t${round++}`);
  mkdirSync(at);
});

afterAll(async () => {
  await workers.run(removeTree, { path: scratch });
  await workers[Symbol.asyncDispose]();
  expect(existsSync(scratch)).toBe(false);
});

function sh(script: string): string {
  const child = Bun.spawnSync(["bash", "-ec", script], { cwd: at, stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${script}: ${child.stderr}`);
  return child.stdout.toString();
}

/** A tree deeper than PATH_MAX, which no path reaches. */
function deep(below: string): void {
  const script = `import os
os.chdir(${JSON.stringify(below)})
for i in range(60):
    os.mkdir("${"n".repeat(200)}"); os.chdir("${"n".repeat(200)}"); open("f", "w").write("deep")`;
  const child = Bun.spawnSync(["python3", "-c", script]);
  expect(child.exitCode).toBe(0);
}

const failure = (promise: Promise<unknown>) => promise.catch((err: unknown) => err);

describe("attributes", () => {
  test("times are exact, also before 1970, and of a symlink itself", () => {
    const path = join(at, "s");
    symlinkSync("nowhere", path);
    for (const mtime of [1_600_000_000_123_456_789n, -1n, -1_500_000_000n, 0n]) {
      setTimes(path, { atime: 5n, mtime });
      expect(lstatSync(path, { bigint: true })).toMatchObject({ mtimeNs: mtime });
    }
    expect(() => setTimes(join(at, "none"), { atime: 0n, mtime: 0n })).toThrow("ENOENT");
  });

  test("extended attributes", () => {
    const path = join(at, "f");
    writeFileSync(path, "");
    expect(readXattrs(path).size).toBe(0);
    expect(setXattr(path, "user.one", Buffer.from([1, 0, 2]))).toBeUndefined();
    expect(setXattr(path, "user.empty", Buffer.alloc(0))).toBeUndefined();
    expect([...readXattrs(path).keys()].sort()).toEqual(["user.empty", "user.one"]);
    expect(readXattr(path, "user.one")).toEqual(Buffer.from([1, 0, 2]));
    expect(readXattr(path, "user.empty")).toEqual(Buffer.alloc(0));
    expect(readXattr(path, "user.none")).toBeUndefined();
    expect(setXattr(join(at, "none"), "user.one", Buffer.of(1))).toBe("ENOENT");
    symlinkSync("f", join(at, "s"));
    expect(readXattrs(join(at, "s")).size).toBe(0);
    expect(setXattr(join(at, "s"), "user.one", Buffer.of(1))).toBe("EPERM");
  });

  test("more names than fit into 4 KiB, which ext4 does not take", () => {
    const path = join("/dev/shm", `berth-xattrs-${process.pid}`);
    writeFileSync(path, "");
    for (let nr = 0; nr < 60; nr++) setXattr(path, `trusted.${"n".repeat(80)}${nr}`, Buffer.of(nr));
    expect(readXattrs(path).size).toBe(60);
    rmSync(path);
  });

  test("device numbers", () => {
    expect(deviceParts(BigInt(lstatSync("/dev/null").rdev))).toEqual({ major: 1, minor: 3 });
  });
});

describe("copyTree", () => {
  test("copies everything there is", async () => {
    sh(`mkdir -p from/dir/sub from/empty; cd from
      echo text > file; chmod 4755 file; chown 1000:2000 file; setfattr -n user.x -v y file 2>/dev/null || python3 -c 'import os; os.setxattr("file", "user.x", b"y")'
      ln file dir/hard; ln -s file link; ln -s / rootlink; mkfifo pipe; mknod null c 1 3; mknod loop b 7 300; chown -h 5:6 link
      python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
      chmod 1777 dir; chown 7:8 dir; chmod 700 .; touch -d 2001-02-03T04:05:06.123456789Z dir/sub dir file link .
      printf 'a\\xffb' > $'odd\\xff'`);
    await workers.run(copyTree, { from: join(at, "from"), to: join(at, "to") });
    const list = (where: string) =>
      sh(`cd ${where}; find . ! -type s -printf '%P|%y|%m|%U:%G|%s|%T@|%n|%l\\n' | sort | grep -av '^$'`);
    // Sizes of directories depend on what was in them.
    const clean = (text: string) => text.replace(/\|d\|(\d+)\|([\d:]+)\|\d+\|/g, "|d|$1|$2|");
    expect(clean(list("to"))).toBe(clean(list("from")));
    expect(existsSync(join(at, "to/sock"))).toBe(false);
    expect(lstatSync(join(at, "to/null")).rdev).toBe(lstatSync("/dev/null").rdev);
    expect(deviceParts(BigInt(lstatSync(join(at, "to/loop")).rdev))).toEqual({ major: 7, minor: 300 });
    expect(lstatSync(join(at, "to/file")).ino).toBe(lstatSync(join(at, "to/dir/hard")).ino);
    expect(readXattr(join(at, "to/file"), "user.x")).toEqual(Buffer.from("y"));
    expect(readlinkSync(join(at, "to/rootlink"))).toBe("/");
  });

  test("sparse files stay sparse, also above 8 GiB, and large ones are whole", async () => {
    mkdirSync(join(at, "from"));
    writeFileSync(join(at, "from/sparse"), "start");
    truncateSync(join(at, "from/sparse"), 9 * 2 ** 30);
    sh("printf end >> from/sparse; head -c 3000000 /dev/urandom > from/random");
    await workers.run(copyTree, { from: join(at, "from"), to: join(at, "to") });
    expect(lstatSync(join(at, "to/sparse"))).toMatchObject({ size: 9 * 2 ** 30 + 3 });
    expect(lstatSync(join(at, "to/sparse")).blocks).toBeLessThan(1000);
    expect(sh("tail -c 3 to/sparse; head -c 5 to/sparse; cmp to/random from/random")).toBe("endstart");
  });

  test("between file systems", async () => {
    const shm = mkdtempSync("/dev/shm/berth-tree-");
    try {
      sh("mkdir from; head -c 3000000 /dev/urandom > from/random; ln from/random from/two");
      await workers.run(copyTree, { from: join(at, "from"), to: join(shm, "to") });
      sh(`cmp from/random ${shm}/to/random; cmp from/random ${shm}/to/two`);
    } finally {
      rmSync(shm, { recursive: true });
    }
  });

  test("trees deeper than PATH_MAX", async () => {
    mkdirSync(join(at, "from"));
    deep(join(at, "from"));
    await workers.run(copyTree, { from: join(at, "from"), to: join(at, "to") });
    expect(await workers.run(usageOf, { path: join(at, "to") })).toEqual(
      await workers.run(usageOf, { path: join(at, "from") }),
    );
  });

  test("merges directories, and neither overwrites nor follows what the target has", async () => {
    sh("mkdir -p from/d to/d outside; echo new > from/d/f; echo old > to/d/kept");
    await workers.run(copyTree, { from: join(at, "from"), to: join(at, "to") });
    expect(sh("cat to/d/f to/d/kept")).toBe("new\nold\n");
    const again = workers.run(copyTree, { from: join(at, "from"), to: join(at, "to") });
    expect(await failure(again)).toMatchObject({ kind: "conflict" });
    sh("rm -r to; mkdir to; ln -s ../outside to/d");
    const through = workers.run(copyTree, { from: join(at, "from"), to: join(at, "to") });
    expect(await failure(through)).toMatchObject({ kind: "conflict" });
    sh("ln -s outside link");
    const root = workers.run(copyTree, { from: join(at, "from"), to: join(at, "link") });
    expect(await failure(root)).toBeInstanceOf(Error);
    expect(sh("ls outside")).toBe("");
  });

  test("a source that is missing or no directory", async () => {
    for (const name of ["none", "file"]) {
      writeFileSync(join(at, "file"), "");
      const copying = workers.run(copyTree, { from: join(at, name), to: join(at, "to") });
      expect(await failure(copying)).toBeInstanceOf(Error);
    }
  });
});

describe("removeTree", () => {
  test("files, trees, symlinks and nothing", async () => {
    sh(
      "mkdir -p keep tree/a/b; echo x > keep/f; ln -s ../keep tree/link; ln -s keep top; echo y > tree/a/f; chmod 0 tree/a; chattr +i keep/f 2>/dev/null || true",
    );
    for (const name of ["tree", "top", "none"]) await workers.run(removeTree, { path: join(at, name) });
    expect(sh("ls; cat keep/f; chattr -i keep/f 2>/dev/null || true")).toBe("keep\nx\n");
  });

  test("deeper than PATH_MAX, and names that are not UTF-8", async () => {
    mkdirSync(join(at, "tree"));
    deep(join(at, "tree"));
    sh("cd tree; touch $'a\\xff' $'\\xfe'");
    await workers.run(removeTree, { path: join(at, "tree") });
    expect(existsSync(join(at, "tree"))).toBe(false);
  });

  test("never what is mounted", async () => {
    mkdirSync(join(at, "tree/m nt"), { recursive: true });
    mkdirSync(join(at, "other"));
    writeFileSync(join(at, "other/f"), "precious");
    writeFileSync(join(at, "tree/f"), "");
    for (const mount of ["mount --bind other 'tree/m nt'", "mount -t tmpfs none 'tree/m nt'"]) {
      sh(mount);
      try {
        for (const path of ["tree", "tree/m nt"]) {
          const removing = workers.run(removeTree, { path: join(at, path) });
          expect(await failure(removing)).toMatchObject({
            kind: "conflict",
            message: expect.stringContaining("mounted"),
          });
        }
      } finally {
        sh("umount 'tree/m nt'");
      }
    }
    expect(readFileSync(join(at, "other/f"), "utf8")).toBe("precious");
    expect(existsSync(join(at, "tree/f"))).toBe(true);
  });

  test("an abort stops it", async () => {
    sh("mkdir tree; cd tree; touch {1..2000}");
    const abort = new AbortController();
    const removing = failure(workers.run(removeTree, { path: join(at, "tree") }, { signal: abort.signal }));
    abort.abort();
    expect(await removing).toMatchObject({ name: "AbortError" });
  });
});

describe("usageOf", () => {
  test("counts blocks and every inode once, not the root", async () => {
    expect(await workers.run(usageOf, { path: at })).toEqual({ bytes: 0, inodes: 0 });
    sh("head -c 10000 /dev/zero > f; ln f g; mkdir d; ln f d/h; ln -s f s; truncate -s 1G sparse");
    chmodSync(join(at, "d"), 0);
    const expected = sh("du -s --block-size=1 --exclude=. * | awk '{ sum += $1 } END { print sum }'");
    expect(await workers.run(usageOf, { path: at })).toEqual({ bytes: Number(expected), inodes: 4 });
  });

  test("a missing directory", async () => {
    expect(await failure(workers.run(usageOf, { path: join(at, "none") }))).toBeInstanceOf(Error);
  });
});
