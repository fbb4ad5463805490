import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Planned } from "../context.ts";
import type { ExecMount } from "../graph/vertex.ts";
import type { BuildRoot } from "../root.ts";
import type { BuildSession } from "../session.ts";
import { type SessionMount, secretMount, sshMount } from "./exec-session.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-session-"));
afterAll(() => rmSync(directory, { recursive: true }));

const { signal } = new AbortController();
const session: BuildSession = {
  secret: async (id) =>
    id === "none" ? undefined : Buffer.alloc(id === "large" ? 512_001 : 3, id === "zero" ? 0 : 65),
  hasAgent: async (id) => id === "default",
  async *agent(id, input) {
    for await (const bytes of input) yield Buffer.concat([Buffer.from(`${id} heard `), bytes]);
  },
  credentials: async () => undefined,
  store: () => undefined,
};

function planned(own?: BuildSession): Planned {
  return { build: { options: { ...(own && { session: own }) }, signal } } as Partial<Planned> as Planned;
}

function one(mount: Partial<ExecMount>, undo = new AsyncDisposableStack()): SessionMount {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const whole = { id: "default", target: "", required: false, uid, gid, ...mount } as ExecMount;
  return { mount: whole, root: { directory } as BuildRoot, undo, index: 0 };
}

test("a secret as a variable; one that is missing, too large, or no variable", async () => {
  expect(await secretMount(planned(session), one({ id: "s", env: "TOKEN" }))).toEqual({ env: "TOKEN=AAA" });
  expect(await secretMount(planned(session), one({ id: "none" }))).toEqual({});
  expect(await secretMount(planned(session), one({ id: "none", env: "TOKEN" }))).toEqual({ env: "TOKEN=" });
  expect(await secretMount(planned(), one({ id: "s" }))).toEqual({});
  const failures: [Partial<ExecMount>, string][] = [
    [{ id: "none", required: true }, "secret none: not found"],
    [{ id: "large", env: "A" }, "secret large is larger than 500 KiB"],
    [{ id: "zero", env: "A" }, "secret zero holds a zero byte"],
  ];
  for (const [mount, message] of failures)
    await expect(secretMount(planned(session), one(mount))).rejects.toThrow(message);
});

test("an agent's socket carries every connection of the step to the client, until the step is over", async () => {
  const undo = new AsyncDisposableStack();
  const { mount } = await sshMount(planned(session), one({ mode: 0o640 }, undo));
  const path = mount?.source ?? "";
  expect(statSync(path).mode & 0o777).toBe(0o640);
  const answers = await Promise.all(["a", "b"].map((text) => asked(path, text)));
  expect(answers).toEqual(["default heard a", "default heard b"]);
  await undo.disposeAsync();
  await expect(asked(path, "c")).rejects.toThrow();
});

test("an agent that is missing is no mount, or an error where it is required", async () => {
  expect(await sshMount(planned(session), one({ id: "other" }))).toEqual({});
  expect(await sshMount(planned(), one({}))).toEqual({});
  const required = sshMount(planned(session), one({ id: "other", required: true }));
  await expect(required).rejects.toThrow("unset ssh forward key other");
});

function asked(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ path });
    socket.on("data", (bytes) => {
      answer += bytes;
    });
    socket.on("error", reject);
    socket.on("end", () => resolve(answer));
    socket.end(text);
  });
}
