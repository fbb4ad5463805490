import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Containers } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { api, docker, dockerCli } from "./api.suite.ts";
import { systemFacts, versionFacts } from "./system.suite.ts";

/** A frame of Docker's multiplexed stream: stream number, three zeros, length. */
function frame(stream: 1 | 2, text: string): Uint8Array {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(text.length, 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

/** One container that answers its input in capitals, and ends with 3. */
function shouting(): Partial<Containers> {
  const started = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<void>();
  return {
    create: async () => ({ Id: "c".repeat(64), Warnings: ["mind the gap"] }),
    inspect: async () => ({ Id: "c".repeat(64), Config: { Tty: false }, State: {} }) as never,
    attach: async () => ({
      kind: "multiplexed",
      leave: () => undefined,
      serve: async (socket) => {
        await started.promise;
        for await (const chunk of socket.input)
          await socket.write(frame(1, Buffer.from(chunk).toString().toUpperCase()));
        await socket.write(frame(2, "bye\n"));
        exited.resolve();
      },
    }),
    start: async () => started.resolve(),
    wait: async () => {
      await exited.promise;
      return { StatusCode: 3 };
    },
    startExec: async (_, body, connect) => {
      const socket = await connect?.(body.Tty ? "raw" : "multiplexed");
      await socket?.write(frame(1, "from exec\n"));
    },
    createExec: async () => ({ Id: "e1" }),
    inspectExec: () => ({ ID: "e1", ExitCode: 4, Running: false }) as never,
    logs: async () => ({
      kind: "multiplexed",
      bytes: (async function* () {
        yield frame(1, "logged\n");
      })(),
    }),
    list: async () => [],
  };
}

describe.skipIf(!existsSync(dockerCli))("the real docker CLI", () => {
  const system = { greeted: () => undefined, version: () => versionFacts, info: async () => systemFacts };

  test("version, info, ps", async () => {
    await using a = await api({ system, containers: shouting() });
    const version = await docker(a.path, [
      "version",
      "--format",
      "{{.Server.Version}} {{.Server.APIVersion}} {{(index .Server.Components 1).Name}}",
    ]);
    expect(version).toEqual({ code: 0, out: "0.1.0 1.51 crun\n", err: "" });
    const info = await docker(a.path, ["info"]);
    expect(info.out).toContain("Server Version: 0.1.0");
    expect(info.out).toContain("Default Runtime: crun");
    expect(info.err).toContain("WARNING: something");
    expect(info.code).toBe(0);
    expect((await docker(a.path, ["ps", "-a"])).out).toStartWith("CONTAINER ID");
  });

  test("run -i: input, both outputs, the exit code", async () => {
    await using a = await api({ system, containers: shouting() });
    const { code, out, err } = await docker(a.path, ["run", "-i", "image"], "hello\nworld\n");
    expect([code, out, err]).toEqual([3, "HELLO\nWORLD\n", "WARNING: mind the gap\nbye\n"]);
  });

  test("exec, logs", async () => {
    await using a = await api({ system, containers: shouting() });
    expect(await docker(a.path, ["exec", "c", "true"])).toEqual({ code: 4, out: "from exec\n", err: "" });
    expect(await docker(a.path, ["logs", "c"])).toEqual({ code: 0, out: "logged\n", err: "" });
  });

  test("errors read as dockerd's do", async () => {
    const refuse = async () => {
      throw new EngineError("not-found", "No such container: nope");
    };
    await using a = await api({ system, containers: { start: refuse, inspect: refuse } });
    const { code, err } = await docker(a.path, ["start", "nope"]);
    expect(code).toBe(1);
    expect(err).toContain("Error response from daemon: No such container: nope");
    expect((await docker(a.path, ["swarm", "leave"])).err).toContain("This node is not a swarm manager");
    expect((await docker(a.path, ["stats", "--no-stream", "nope"])).code).not.toBe(0);
  });

  test("build, load, import and pull with their progress", async () => {
    const build = {
      build: async ({ context, progress }: { context: AsyncIterable<Uint8Array>; progress: (m: object) => void }) => {
        const tar = Buffer.concat(await Array.fromAsync(context));
        progress({ stream: `Dockerfile seen: ${tar.includes("FROM scratch")}\n` });
        progress({
          errorDetail: { message: "returned a non-zero code: 3", code: 3 },
          error: "returned a non-zero code: 3",
        });
      },
    };
    const transfer = {
      load: async () => {
        throw new EngineError("invalid", "no tar");
      },
      pull: async (_: unknown, { progress }: { progress: (m: object) => void }) => {
        progress({ status: "Pulling from library/a", id: "latest" });
        return { id: "sha256:1" } as never;
      },
      import: async (_: unknown, { progress }: { progress: (m: object) => void }) => {
        progress({ status: "sha256:2" });
        return { id: "sha256:2" } as never;
      },
    };
    await using a = await api({ system, build, transfer });
    const built = await docker(a.path, ["build", "-"], "FROM scratch\n");
    expect([built.code, built.out]).toEqual([3, expect.stringContaining("Dockerfile seen: true")]);
    expect((await docker(a.path, ["load"], "x")).err).toContain("no tar");
    expect((await docker(a.path, ["import", "-"], "x")).out).toBe("sha256:2\n");
    expect((await docker(a.path, ["pull", "a"])).out).toContain("latest: Pulling from library/a");
  });
});
