import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Answers, cli, type Process, refusing } from "../testing/fake.ts";

const id = "c".repeat(64);
const help = "\n\nRun 'berth run --help' for more information\n";

/** An engine with the image, whose container does as the function says and exits with the status. */
function engine(process: Process, { status = 0, start = {} as unknown, tty = false, stdin = false } = {}): Answers {
  return {
    "POST /containers/create": { Id: id, Warnings: [] },
    [`POST /containers/${id}/attach`]: process,
    [`POST /containers/${id}/wait`]: { StatusCode: status },
    [`POST /containers/${id}/start`]: start,
    [`POST /containers/${id}/kill`]: {},
    [`POST /containers/${id}/resize`]: {},
    "GET /containers/web/json": {
      Id: id,
      Config: { Tty: tty, OpenStdin: stdin },
      HostConfig: { AutoRemove: false },
      State: { Running: true },
    },
  };
}

test("output goes where the process wrote it, and its status is ours", async () => {
  const says: Process = ({ out, err }) => {
    out("hello\n");
    err("oh\n");
  };
  const ran = await cli(["run", "--rm", "x", "cmd"], { answers: engine(says, { status: 7 }) });
  expect(ran).toMatchObject({ status: 7, out: "hello\n", err: "oh\n" });
  expect(ran.asked).toEqual([
    "POST /containers/create",
    `POST /containers/${id}/attach?stream=true&stdin=false&stdout=true&stderr=true&detachKeys=ctrl-p,ctrl-q`,
    `POST /containers/${id}/wait?condition=removed`,
    `POST /containers/${id}/start`,
  ]);
  expect((await cli(["run", "x"], { answers: engine(says) })).asked[2]).toEndWith("condition=next-exit");
});

test("input ends with a half-close, after which output still arrives", async () => {
  const shouting: Process = async ({ input, inputEnded, out }) => {
    await inputEnded;
    out(input().toUpperCase());
  };
  expect(await cli(["run", "-i", "x"], { answers: engine(shouting), stdin: "typed" })).toMatchObject({ out: "TYPED" });
  const waiting: Process = async ({ inputEnded, out }) => {
    await inputEnded;
    out("no input");
  };
  expect(await cli(["run", "x"], { answers: engine(waiting), stdin: "typed" })).toMatchObject({ out: "no input" });
});

test("-d prints the id and attaches nothing", async () => {
  const ran = await cli(["run", "-d", "--name", "n", "x"], { answers: engine(() => undefined) });
  expect(ran).toMatchObject({ status: 0, out: `${id}\n` });
  expect(ran.asked).toEqual(["POST /containers/create?name=n", `POST /containers/${id}/start`]);
});

test("a terminal is raw while the process runs, and its size is told", async () => {
  const shell: Process = ({ raw }) => raw("# ");
  const ran = await cli(["run", "-it", "x"], { answers: engine(shell), terminal: 111 });
  expect(ran).toMatchObject({ status: 0, out: "# ", raw: [true, false] });
  expect(ran.asked).toContain(`POST /containers/${id}/resize?h=24&w=111`);
  expect(ran.bodies[0]).toMatchObject({ Tty: true, OpenStdin: true, HostConfig: { ConsoleSize: [24, 111] } });
});

test("the terminal is restored when the start fails", async () => {
  const answers = engine(() => new Promise(() => undefined), {
    start: refusing("internal", "no such file or directory"),
  });
  const ran = await cli(["run", "-it", "x"], { answers, terminal: 80 });
  expect(ran.status).toBe(127);
  expect(ran.raw.length % 2).toBe(0);
});

test("the detach keys leave it running, and do not reach it", async () => {
  let got = "";
  const shell: Process = ({ user, input }) =>
    new Promise(() => {
      user.type("ls\x10x\x10");
      user.type("\x11never");
      setInterval(() => {
        got = input();
      }, 1).unref();
    });
  const ran = await cli(["run", "-it", "x"], { answers: engine(shell), terminal: 80 });
  expect(ran).toMatchObject({ status: 0, raw: [true, false] });
  expect("ls\x10x").toStartWith(got);
  const other: Process = ({ user }) => new Promise(() => user.type("q"));
  expect(await cli(["run", "-it", "--detach-keys", "q", "x"], { answers: engine(other), terminal: 80 })).toMatchObject({
    status: 0,
  });
  expect(await cli(["run", "-it", "--detach-keys", "ctrl-", "x"], { terminal: 80 })).toMatchObject({
    status: 1,
    asked: [],
  });
});

test("signals go to the container; those that come before the start are kept", async () => {
  const stubborn: Process = async ({ user }) => {
    user.signal("SIGINT");
    user.signal("SIGUSR1");
  };
  const ran = await cli(["run", "x"], { answers: engine(stubborn) });
  const kills = ran.asked.filter((one) => one.includes("/kill"));
  expect(kills).toEqual([`POST /containers/${id}/kill?signal=SIGINT`, `POST /containers/${id}/kill?signal=SIGUSR1`]);
  expect(ran.asked.indexOf(kills[0] ?? "")).toBeGreaterThan(ran.asked.indexOf(`POST /containers/${id}/start`));
  const deaf = await cli(["run", "--sig-proxy=false", "x"], { answers: engine(stubborn) });
  expect(deaf.asked.some((one) => one.includes("/kill"))).toBe(false);
});

test("the third Ctrl-C leaves whatever happens", async () => {
  const stuck: Process = ({ user }) =>
    new Promise(() => {
      for (let at = 0; at < 3; at++) user.signal("SIGINT");
    });
  const answers = { ...engine(stuck), [`POST /containers/${id}/wait`]: { hangs: true } };
  const ran = await cli(["run", "x"], { answers });
  expect(ran.err).toContain("got 3 SIGTERM/SIGINTs, forcefully exiting");
  expect(ran.status).toBe(1);
});

test.each([
  ['exec: "x": executable file not found in $PATH: unknown', 127],
  ["exec: /x: no such file or directory: unknown", 127],
  ['exec: "/etc": permission denied: unknown', 126],
  ['exec: "/etc": is a directory: unknown', 126],
  ["driver failed programming external connectivity: port is already allocated", 125],
])("a start that fails with %j exits with %d", async (message, status) => {
  const answers = engine(() => new Promise(() => undefined), { start: refusing("invalid", message) });
  expect(await cli(["run", "--rm", "x"], { answers })).toMatchObject({
    status,
    err: `berth: Error response from daemon: ${message}${help}`,
  });
});

test("errors before the start exit with 125", async () => {
  const taken = refusing("conflict", 'Conflict. The container name "/n" is already in use');
  expect(await cli(["run", "x"], { answers: { "POST /containers/create": taken } })).toMatchObject({
    status: 125,
    err: `berth: ${taken.message}${help}`,
  });
  expect(await cli(["run", "--bogus", "x"])).toMatchObject({ status: 125, asked: [] });
  expect(await cli(["run", "-p", "x", "y"])).toMatchObject({ status: 125, asked: [] });
  const failed = {
    ...engine(() => undefined),
    [`POST /containers/${id}/wait`]: { StatusCode: 0, Error: { Message: "lost it" } },
  };
  expect(await cli(["run", "x"], { answers: failed })).toMatchObject({
    status: 125,
    err: `berth: error waiting for container: lost it${help}`,
  });
});

test("errors that are the user's own exit with 1", async () => {
  expect(await cli(["run", "-it", "x"])).toMatchObject({ status: 1, err: "the input device is not a TTY\n" });
  expect(await cli(["run", "-d", "-a", "stdout", "x"])).toMatchObject({
    status: 1,
    err: "conflicting options: cannot specify both --attach and --detach\n",
  });
  expect(await cli(["run", "-a", "all", "x"])).toMatchObject({ status: 125 });
});

test("an image that is to be mounted is not pulled in the container's place", async () => {
  const answers = { "POST /containers/create": refusing("not-found", "No such image: other:1") };
  const ran = await cli(["run", "--mount", "type=image,src=other:1,dst=/i", "x"], { answers });
  expect(ran).toMatchObject({ status: 125, asked: ["POST /containers/create"] });
  expect(ran.err).toContain("No such image: other:1");
});

test("a missing image is pulled once, unless that is not wanted", async () => {
  const missing = refusing("not-found", "No such image: x:latest");
  let pulled = false;
  const answers = {
    ...engine(({ out }) => out("ran")),
    "POST /containers/create": () => (pulled ? { Id: id, Warnings: ["mind"] } : missing),
    "POST /images/create": () => {
      pulled = true;
      return [{ status: "Pulling from library/x", id: "latest" }];
    },
  };
  const ran = await cli(["run", "x"], { answers });
  expect(ran).toMatchObject({
    status: 0,
    out: "ran",
    err: "Unable to find image 'x:latest' locally\nlatest: Pulling from library/x\nWARNING: mind\n",
  });
  expect(ran.asked[1]).toBe("POST /images/create?fromImage=x&tag=latest");
  pulled = false;
  expect(await cli(["run", "--pull", "never", "x"], { answers })).toMatchObject({
    status: 125,
    asked: ["POST /containers/create"],
  });
  expect((await cli(["run", "-q", "--pull", "always", "r:5/x:1"], { answers })).asked[0]).toBe(
    "POST /images/create?fromImage=r:5/x&tag=1",
  );
});

test("the id is written to --cidfile, which must not be there", async () => {
  const cwd = mkdtempSync("/tmp/berth-cli-");
  try {
    await cli(["run", "-d", "--cidfile", "id", "x"], { answers: engine(() => undefined), cwd });
    expect(readFileSync(`${cwd}/id`, "utf8")).toBe(id);
    const again = await cli(["run", "-d", "--cidfile", "id", "x"], { answers: engine(() => undefined), cwd });
    expect(again).toMatchObject({ status: 125, asked: [] });
    expect(again.err).toContain("container ID file found, make sure the other container isn't running or delete id");
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

test("create prints the id; attach and start -a end with the process's status", async () => {
  expect(await cli(["create", "x"], { answers: engine(() => undefined) })).toMatchObject({ status: 0, out: `${id}\n` });
  const says: Process = ({ out }) => out("seen\n");
  const attached = await cli(["attach", "web"], { answers: engine(says, { status: 4 }) });
  expect(attached).toMatchObject({ status: 4, out: "seen\n" });
  expect(attached.asked[2]).toEndWith("condition=not-running");
  const started = await cli(["start", "-a", "web"], { answers: engine(says, { status: 5 }) });
  expect(started).toMatchObject({ status: 5, out: "seen\n" });
  expect(started.asked.at(-1)).toBe(`POST /containers/${id}/start`);
});

test("attach and start refuse what cannot be", async () => {
  const inState = (State: object) => ({ "GET /containers/web/json": { Id: id, Config: {}, HostConfig: {}, State } });
  expect((await cli(["attach", "web"], { answers: inState({}) })).err).toBe(
    "You cannot attach to a stopped container, start it first\n",
  );
  expect((await cli(["attach", "web"], { answers: inState({ Running: true, Paused: true }) })).err).toContain(
    "paused container",
  );
  expect((await cli(["attach", "web"], { answers: inState({ Running: true, Restarting: true }) })).err).toContain(
    "restarting container",
  );
  const withInput = engine(() => undefined, { tty: true, stdin: true });
  expect((await cli(["attach", "web"], { answers: withInput })).err).toBe("the input device is not a TTY\n");
  expect(await cli(["start", "-a", "web", "db"])).toMatchObject({
    status: 1,
    err: "you cannot start and attach multiple containers at once\n",
  });
});

test("exec", async () => {
  const cwd = mkdtempSync("/tmp/berth-cli-");
  writeFileSync(`${cwd}/env`, "# none\nA=1\n HOMELESS\n");
  const answers = {
    "POST /containers/web/exec": { Id: "e1" },
    "POST /exec/e1/start": (({ out }) => out("in\n")) satisfies Process,
    "GET /exec/e1/json": { ExitCode: 5 },
  };
  const argv = [
    "exec",
    "-u",
    "1",
    "-w",
    "/w",
    "-e",
    "B=2",
    "--env-file",
    "env",
    "--privileged",
    "web",
    "sh",
    "-c",
    "x",
  ];
  const ran = await cli(argv, { answers, cwd });
  rmSync(cwd, { recursive: true });
  expect(ran).toMatchObject({ status: 5, out: "in\n" });
  expect(ran.bodies).toMatchObject([
    { User: "1", WorkingDir: "/w", Env: ["A=1", "B=2"], Privileged: true, Cmd: ["sh", "-c", "x"], AttachStdout: true },
    { Detach: false, Tty: false },
  ]);
  const detached = { ...answers, "POST /exec/e1/start": {} };
  expect(await cli(["exec", "-d", "web", "true"], { answers: detached })).toMatchObject({ status: 0, out: "" });
  expect(await cli(["exec", "-it", "web", "sh"])).toMatchObject({ status: 1, err: "the input device is not a TTY\n" });
  expect(await cli(["exec", "web"])).toMatchObject({ status: 1 });
  const gone = { "POST /containers/web/exec": refusing("not-found", "No such container: web") };
  expect(await cli(["exec", "web", "x"], { answers: gone })).toMatchObject({
    status: 1,
    err: "Error response from daemon: No such container: web\n",
  });
  expect(existsSync(cwd)).toBe(false);
});
