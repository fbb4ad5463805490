import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isKind } from "../errors/mod.ts";
import { createProcesses } from "./processes.ts";

const processes = createProcesses();

async function text(stream: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function caught(work: () => unknown): Promise<Error> {
  try {
    await work();
  } catch (err) {
    return err as Error;
  }
  throw new Error("nothing was thrown");
}

describe("run", () => {
  test("collects both outputs and the exit code", async () => {
    expect(await processes.run(["sh", "-c", "echo out; echo err >&2; exit 3"])).toEqual({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("gives stdin, directory and environment; PATH comes along", async () => {
    const shown = await processes.run(["sh", "-c", 'cat; pwd; echo "$A $HOME"'], {
      stdin: "in\n",
      cwd: "/usr",
      env: { A: "a" },
    });
    expect(shown.stdout).toBe("in\n/usr\na \n");
  });

  test("says 128+n for a signal", async () => {
    expect((await processes.run(["sh", "-c", "kill -TERM $$"])).code).toBe(143);
  });

  test("names the Debian package of a missing program", async () => {
    const err = await caught(() => processes.run(["xz"], { env: { PATH: "/nowhere" } }));
    expect(isKind(err, "unavailable")).toBe(true);
    expect(err.message).toContain("xz-utils");
    const other = await caught(() => processes.run(["/nowhere/conmon"]));
    expect(other.message).toContain("Debian package conmon");
  });

  test("a missing directory is not a missing program", async () => {
    expect(isKind(await caught(() => processes.run(["true"], { cwd: "/nowhere" })), "internal")).toBe(true);
  });

  test("an abort kills and rejects", async () => {
    const abort = new AbortController();
    const running = processes.run(["sleep", "60"], { signal: abort.signal });
    abort.abort();
    expect((await caught(() => running)).name).toBe("AbortError");
  });

  test("stops a program with more than 16 MiB of output", async () => {
    const err = await caught(() => processes.run(["head", "-c", "20000000", "/dev/zero"]));
    expect(err.message).toContain("16 MiB");
  });
});

describe("spawn", () => {
  test("stdio are pipes that stall and drain, and close", async () => {
    const child = processes.spawn(["cat"], { stdio: ["pipe", "pipe", "ignore"] });
    child.pipes.get(0)?.write(Buffer.alloc(3_000_000, "x"));
    child.pipes.get(0)?.end("end");
    expect((await text(child.pipes.get(1))).length).toBe(3_000_003);
    expect(await child.exited).toBe(0);
  });

  test("stdio may be opened by name", async () => {
    const child = processes.spawn(["sh", "-c", "echo named > /dev/stderr"], { stdio: ["ignore", "ignore", "pipe"] });
    expect(await text(child.pipes.get(2))).toBe("named\n");
  });

  test("extra descriptors go both ways and half-close", async () => {
    const child = processes.spawn(
      ["sh", "-c", "cat <&3; echo after; cat /proc/self/fd/3 >/dev/null 2>&1; echo >&3 x"],
      {
        stdio: ["ignore", "pipe", "ignore", "pipe"],
      },
    );
    const extra = child.pipes.get(3);
    extra?.end(Buffer.alloc(1_000_000, "y"));
    expect((await text(child.pipes.get(1))).length).toBe(1_000_006);
    expect(await text(extra)).toBe("x\n");
    expect(await child.exited).toBe(0);
  });

  test("a number is handed on, detached is a session of its own, kill reaches it", async () => {
    const child = processes.spawn(["sh", "-c", 'cut -d" " -f6 /proc/$$/stat; exec sleep 60'], {
      stdio: ["ignore", "pipe", 2],
      detached: true,
    });
    const output = child.pipes.get(1);
    const first = await new Promise<string>((resolve) => output?.once("data", (bytes) => resolve(String(bytes))));
    expect(Number(first)).toBe(child.pid);
    child.kill(9);
    expect(await child.exited).toBe(137);
    output?.destroy();
  });

  test("a program that is missing leaves no descriptor open", async () => {
    const before = readdirSync("/proc/self/fd").length;
    expect(
      (await caught(() => processes.spawn(["/nowhere/crun"], { stdio: ["pipe", "pipe", "pipe", "pipe"] }))).message,
    ).toContain("crun");
    expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before); // others may close meanwhile
  });
});

describe("ended", () => {
  test("resolves at the end of a process that is not a child, and at once for none", async () => {
    const { stdout } = await processes.run(["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"]);
    const ended = processes.ended(Number(stdout));
    process.kill(Number(stdout), "SIGKILL");
    await ended;
    await processes.ended(4_194_303);
  });

  test("an abort rejects", async () => {
    const abort = new AbortController();
    const ended = processes.ended(process.pid, abort.signal);
    abort.abort();
    expect((await caught(() => ended)).name).toBe("AbortError");
    expect((await caught(() => processes.ended(process.pid, abort.signal))).name).toBe("AbortError");
  });
});

/** A SOCK_SEQPACKET server in Perl (Bun has none): runs `body` with the accepted socket in $c. */
async function serve<T>(body: string, use: (path: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "berth-seqpacket-"));
  const path = join(directory, "attach");
  const script = `use Socket; socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0); chdir $ARGV[0]; bind($s, pack_sockaddr_un("attach")); listen($s, 5); $|=1; print "ready"; accept(my $c, $s); ${body}`;
  const server = processes.spawn(["perl", "-e", script, directory], { stdio: ["ignore", "pipe", 2] });
  await new Promise((resolve) => server.pipes.get(1)?.once("data", resolve));
  try {
    return await use(path);
  } finally {
    server.kill(9);
    await server.exited;
    server.pipes.get(1)?.destroy();
    rmSync(directory, { recursive: true });
  }
}

describe("connectSeqpacket", () => {
  test("keeps packets whole, both ways, and ends with the peer", async () => {
    const echo =
      'while (1) { recv($c, my $b, 100000, 0); last if $b eq ""; send($c, length($b) . substr($b, 0, 2), 0); } send($c, "bye", 0);';
    const got = await serve(echo, async (path) => {
      using socket = await processes.connectSeqpacket(path);
      for (const size of [1, 20_000, 32_768]) await socket.write(Buffer.alloc(size, "ab"));
      socket.end();
      const packets: string[] = [];
      for await (const packet of socket.packets) packets.push(Buffer.from(packet).toString());
      await expect(socket.write(Buffer.from("x"))).rejects.toThrow("closed");
      return packets;
    });
    expect(got).toEqual(["1a", "20000ab", "32768ab", "bye"]);
  });

  test("a write waits until the peer reads", async () => {
    const slow =
      'select(undef, undef, undef, 0.2); my $n = 0; while (1) { recv($c, my $b, 100000, 0); last if $b eq ""; $n += length $b; } send($c, $n, 0);';
    const got = await serve(slow, async (path) => {
      using socket = await processes.connectSeqpacket(path);
      for (let at = 0; at < 200; at++) await socket.write(Buffer.alloc(32_768));
      socket.end();
      for await (const packet of socket.packets) return Buffer.from(packet).toString();
      return undefined;
    });
    expect(got).toBe(String(200 * 32_768));
  });

  test("much output is neither lost nor merged", async () => {
    const many = 'for (1..3000) { send($c, "z" x 8192, 0); }';
    const got = await serve(many, async (path) => {
      using socket = await processes.connectSeqpacket(path);
      let count = 0;
      for await (const packet of socket.packets) if (packet.length === 8192) count++;
      return count;
    });
    expect(got).toBe(3000);
  });

  test("a path of any length works", async () => {
    await serve('send($c, "hi", 0);', async (path) => {
      const long = join(path, "..", "./".repeat(100), "attach");
      using socket = await processes.connectSeqpacket(long.length > 108 ? long : `${"/.".repeat(60)}${path}`);
      for await (const packet of socket.packets) expect(Buffer.from(packet).toString()).toBe("hi");
    });
  });

  test("nobody there is not-found", async () => {
    const directory = mkdtempSync(join(tmpdir(), "berth-seqpacket-"));
    expect(isKind(await caught(() => processes.connectSeqpacket(join(directory, "none"))), "not-found")).toBe(true);
    expect(isKind(await caught(() => processes.connectSeqpacket("/nowhere/none")), "not-found")).toBe(true);
    rmSync(directory, { recursive: true });
  });
});
