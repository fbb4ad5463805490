import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { onTerminal } from "../support/terminal.ts";
import { patience, until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

describe.each(["docker", "berth"] as const)("%s attach", (which) => {
  test("shows what is written from now on, and ends with the container's exit status", async () => {
    const script = "echo early; read line; echo got $line; echo err >&2; exit 4";
    const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", script);
    await until("the early line is logged", async () => (await engine.ok("logs", id)) === "early");
    const attached = await cli(which, engine.host, ["attach", id], { stdin: "hello\n" });
    expect(attached).toEqual({ code: 4, stdout: "got hello\n", stderr: "err\n" });
    await engine.ok("rm", id);
  });

  test("several at once see the same", async () => {
    const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", "read go; echo all; exit 3");
    const readers = [1, 2, 3].map(() =>
      Bun.spawn([which === "berth" ? berth : "docker", "attach", "--no-stdin", id], {
        env: cliEnv(engine.host),
        stdout: "pipe",
        stderr: "pipe",
        timeout: 30_000 * patience,
      }),
    );
    await until("all are attached", async () => (await attachments(engine)) >= 3);
    await cli(which, engine.host, ["attach", id], { stdin: "go\n" });
    for (const reader of readers) {
      expect(await new Response(reader.stdout).text()).toBe("all\n");
      expect(await reader.exited).toBe(3);
    }
    await engine.ok("rm", id);
  });

  test("detach keys leave the container running", async () => {
    const id = await engine.ok("run", "-dit", "busybox", "sh");
    await using screen = onTerminal(which, engine.host, ["attach", id]);
    screen.type("echo is-$((40+2))\n");
    await screen.shows("is-42");
    screen.type("\x10\x11");
    await screen.exited;
    expect(await engine.ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true");
    await using second = onTerminal(which, engine.host, ["attach", "--detach-keys", "ctrl-a,x", id]);
    second.type("echo again-$((1+1))\n");
    await second.shows("again-2");
    second.type("\x01x");
    await second.exited;
    expect(await engine.ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true");
    await engine.ok("rm", "-f", id);
  });

  test("start -a -i is the same for a container that was created", async () => {
    const id = await engine.ok("create", "-i", "busybox", "sh", "-c", "cat; exit 8");
    expect(await cli(which, engine.host, ["start", "-a", "-i", id], { stdin: "echoed\n" })).toEqual({
      code: 8,
      stdout: "echoed\n",
      stderr: "",
    });
    await engine.ok("rm", id);
  });

  test("refuses one that does not run or exist", async () => {
    const id = await engine.ok("create", "busybox", "true");
    expect((await cli(which, engine.host, ["attach", id])).stderr).toMatch(/cannot attach to a stopped container/i);
    expect((await cli(which, engine.host, ["attach", "nobody"])).stderr).toContain("No such container: nobody");
    await engine.ok("rm", id);
  });
});

describe.each(["docker", "berth"] as const)("%s attach and signals", (which) => {
  const program = which === "berth" ? berth : "docker";

  test("signals go to the container, unless they are to stay here", async () => {
    const script = "trap 'echo termed; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    const id = await engine.ok("run", "-d", "busybox", "sh", "-c", script);
    await until("the trap is set", async () => (await engine.ok("logs", id)) === "ready");
    const spawn = (...flags: string[]) =>
      Bun.spawn([program, "attach", ...flags, id], { env: cliEnv(engine.host), stdout: "pipe", stderr: "pipe" });
    const own = spawn("--sig-proxy=false");
    const proxying = spawn();
    await until("both are attached", async () => (await attachments(engine)) >= 4);
    own.kill("SIGTERM"); // docker's own stays, and waits for a second one
    expect(await engine.ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true");
    proxying.kill("SIGTERM");
    expect(await new Response(proxying.stdout).text()).toBe("termed\n");
    expect(await proxying.exited).toBe(9);
    own.kill("SIGKILL");
    await own.exited;
    await engine.ok("rm", id);
  });

  test("a paused container refuses", async () => {
    const id = await engine.ok("run", "-d", "busybox", "sleep", "1000");
    await engine.ok("pause", id);
    expect((await cli(which, engine.host, ["attach", id])).stderr).toMatch(/cannot attach to a paused container/i);
    await engine.ok("unpause", id);
    await engine.ok("rm", "-f", id);
  });

  test("the terminal is as it was, after an exit, a detach and a kill", async () => {
    const id = await engine.ok("run", "-dit", "busybox", "sh");
    const shell = `stty -g; "$0" attach ${id}; stty -g; echo over`;
    let text = "";
    const run = () => {
      text = "";
      return Bun.spawn(["sh", "-c", shell, program], {
        env: { ...cliEnv(engine.host), TERM: "xterm" },
        terminal: { cols: 80, rows: 24, data: (_, chunk) => (text += Buffer.from(chunk).toString()) },
        timeout: 30_000 * patience,
      });
    };
    const same = async (child: ReturnType<typeof run>) => {
      await until(
        () => `it is over: ${JSON.stringify(text)}`,
        () => text.includes("over"),
      );
      const settings = text.match(/([0-9a-f]+:){10,}[0-9a-f]+/g) ?? [];
      expect(settings).toHaveLength(2);
      expect(settings[0]).toBe(settings[1] ?? "");
      await child.exited;
      child.terminal?.close();
    };
    const answers = async (child: ReturnType<typeof run>) => {
      await until("the shell answers", () => {
        child.terminal?.write("echo is-$((40+2))\n");
        return text.includes("is-42");
      });
    };
    const detached = run();
    await answers(detached);
    detached.terminal?.write("\x10\x11");
    await same(detached);
    if (which === "berth") {
      // docker's own takes no notice of a SIGTERM here
      const killed = run();
      await answers(killed);
      process.kill(childOf(killed.pid), "SIGTERM");
      await same(killed);
    }
    const ended = run();
    await answers(ended);
    ended.terminal?.write("exit\n");
    await same(ended);
    await engine.ok("rm", "-f", id);
  });
});

/** The only child of a process. */
function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
}

test("a reader that stops reading holds nobody up", async () => {
  const count = 20_000;
  const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", `read go; seq -w ${count}; echo end`);
  const lazy = Bun.spawn(["docker", "attach", "--no-stdin", id], {
    env: cliEnv(engine.host),
    stdout: "pipe",
    timeout: 30_000 * patience,
  });
  await until("it is attached", async () => (await attachments(engine)) >= 1);
  lazy.kill("SIGSTOP");
  const { stdout } = await cli("docker", engine.host, ["attach", id], { stdin: "go\n" });
  expect(stdout.trim().split("\n")).toHaveLength(count + 1);
  expect((await engine.ok("logs", id)).split("\n")).toHaveLength(count + 1);
  lazy.kill("SIGCONT");
  lazy.kill("SIGKILL");
  await lazy.exited;
  await engine.ok("rm", id);
});

/** How many hijacked connections the daemon has open, but for this one's question. */
async function attachments({ pid, directory }: Engine): Promise<number> {
  const sockets = (await Bun.file("/proc/net/unix").text())
    .split("\n")
    .filter((line) => line.endsWith(`${directory}/berth.sock`));
  expect(pid).toBeGreaterThan(0);
  return sockets.filter((line) => line.split(/\s+/)[5] === "03").length;
}
