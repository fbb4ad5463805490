import { afterAll, beforeAll, expect, test } from "bun:test";
import { statusResponses } from "../../src/buildkit/history/status-log.ts";
import { hijacked, openSession } from "../../src/buildkit/testing/client.ts";
import { sender } from "../../src/buildkit/testing/sender.ts";
import { Code, callOver } from "../../src/grpc/mod.ts";
import { content, control, filesync } from "../../src/proto/mod.ts";
import { nothingIsLeftOfBuilds } from "../support/builds.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

/** A client of the Control API, which builds Dockerfiles and reads what was built. */
async function connected() {
  const socket = engine.host.replace("unix://", "");
  const dockerfile: Record<string, { content: string }> = {};
  const session = await openSession(socket, {
    methods: ["/moby.filesync.v1.FileSync/DiffCopy"],
    routes: (router) => router.service(filesync.FileSync, { diffCopy: sender({ context: dockerfile, dockerfile }) }),
  });
  const caller = callOver(await hijacked(socket, "/grpc"));
  const service = caller.client(control.Control);
  const build = (ref: string, text: string, signal?: AbortSignal) => {
    dockerfile["Dockerfile"] = { content: text };
    const frontendAttrs = { "attest:provenance": "mode=min", "build-arg:URL": "https://user:hush@h.test/" };
    const request = { ref, session: session.id, frontend: "dockerfile.v0", frontendAttrs, exporter: "moby" };
    return service.solve(request, signal && { signal });
  };
  const records = async (asked: { filter?: string[] } = {}) => {
    const events = await Array.fromAsync(service.listenBuildHistory({ earlyExit: true, ...asked }));
    return events.flatMap(({ record }) => record ?? []);
  };
  const close = async () => {
    caller[Symbol.dispose]();
    await session[Symbol.asyncDispose]();
  };
  return { service, store: caller.client(content.Content), build, records, [Symbol.asyncDispose]: close };
}

const outputOf = (responses: Iterable<control.StatusResponse>) =>
  [...responses].flatMap(({ logs }) => logs.map(({ msg }) => Buffer.from(msg).toString())).join("");

test("what was built is known after a kill of the daemon: that it was, how it ended, what it said and is made from", async () => {
  {
    await using client = await connected();
    await client.build("good", "FROM busybox\nRUN echo it works");
    await client.build("bad", "FROM busybox\nRUN echo it breaks; exit 3").catch(() => undefined);
    const stop = new AbortController();
    const slow = "FROM busybox\nRUN echo begun; sleep 1000";
    const left = client.build("left", slow, stop.signal).catch(() => undefined);
    const begun = async (ref: string) => {
      for await (const one of client.service.status({ ref })) if (outputOf([one]) === "begun\n") return;
    };
    await begun("left");
    stop.abort();
    await left;
    await until("it is over", async () => (await client.records({ filter: ["status==canceled"] })).length === 1);
    void client.build("killed", `${slow} # again`).catch(() => undefined);
    await begun("killed");
    expect((await client.records()).map(({ ref }) => ref)).toEqual(["killed", "left", "bad", "good"]);
    await engine.stop("SIGKILL");
  }
  await engine.start();
  await nothingIsLeftOfBuilds(engine);
  await using client = await connected();
  const [left, bad, good] = await client.records();
  expect([left?.ref, left?.error?.code]).toEqual(["left", Code.Canceled]);
  expect([bad?.ref, bad?.error?.message]).toEqual(["bad", expect.stringContaining("exit code: 3")]);
  expect(good).toMatchObject({ ref: "good", frontendAttrs: { "build-arg:URL": "https://h.test/" }, numWarnings: 0 });
  expect([good?.error, good?.numCompletedSteps]).toEqual([undefined, good?.numTotalSteps]);
  const digest = good?.logs?.digest ?? "";
  const pieces = await Array.fromAsync(client.store.read({ digest }));
  expect(outputOf(statusResponses(Buffer.concat(pieces.map(({ data }) => data))))).toBe("it works\n");
  expect(outputOf(await Array.fromAsync(client.service.status({ ref: "bad" })))).toBe("it breaks\n");
  const [said] = good?.result?.attestations ?? [];
  const [predicate] = await Array.fromAsync(client.store.read({ digest: said?.digest ?? "" }));
  expect(JSON.parse(Buffer.from(predicate?.data ?? []).toString())).toHaveProperty(
    "buildDefinition.resolvedDependencies",
  );
  for (const ref of ["left", "bad", "good"]) await client.service.updateBuildHistory({ ref, delete: true });
  expect(await client.records()).toEqual([]);
});
