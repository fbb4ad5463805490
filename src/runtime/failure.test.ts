import { expect, test } from "bun:test";
import { EngineError } from "../errors/mod.ts";
import { createFailure, startError } from "./failure.ts";

const lead =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
const inExec = "OCI runtime exec failed: exec failed: unable to start container process: ";

/** What the runtimes wrote (crun 1.8.1, runc 1.1.5), and what Docker says to it. */
const said: readonly (readonly [string, number, string])[] = [
  [
    "executable file `nosuch` not found in $PATH: No such file or directory",
    127,
    'exec: "nosuch": executable file not found in $PATH',
  ],
  [
    "executable file `/nope` not found in $PATH: No such file or directory\n",
    127,
    'exec: "/nope": stat /nope: no such file or directory',
  ],
  [
    "executable file `./rel` not found in $PATH: No such file or directory",
    127,
    'exec: "./rel": stat ./rel: no such file or directory',
  ],
  ["open executable: Permission denied", 126, 'exec: "prog": permission denied'],
  ["open executable: Operation not permitted", 126, 'exec: "prog": permission denied'],
  ["exec container process `/x`: Exec format error", 126, 'exec: "/x": exec format error'],
  [
    "exec container process (missing dynamic library?) `/x`: No such file or directory",
    127,
    'exec: "/x": no such file or directory',
  ],
  [
    "write file `/proc/thread-self/attr/exec`: No such file or directory",
    127,
    "error during container init: unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory",
  ],
  ["capset: Operation not permitted", 128, "capset: operation not permitted"],
  [
    'time="2026-11-23T22:35:24Z" level=error msg="runc create failed: unable to start container process: exec: \\"nosuch\\": executable file not found in $PATH"',
    127,
    'exec: "nosuch": executable file not found in $PATH',
  ],
  [
    'runc run failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory',
    127,
    'exec: "/nope": stat /nope: no such file or directory',
  ],
  [
    'time="x" level=warning msg="unrelated"\ntime="x" level=error msg="exec failed: unable to start container process: exec: \\"/tmp\\": permission denied"',
    126,
    'exec: "/tmp": permission denied',
  ],
];

test("both runtimes' words become Docker's, with the exit code they stand for", () => {
  for (const [text, exitCode, words] of said) {
    const err = startError({ said: text, program: "prog", kind: "container" });
    expect(createFailure(err)).toEqual({ exitCode, message: `${lead}${words}: unknown` } as never);
    expect(err.kind).toBe(exitCode === 128 ? "internal" : "invalid");
    expect(startError({ said: text, program: "prog", kind: "exec" }).message).toBe(`${inExec}${words}: unknown`);
  }
});

test("a directory on a file is asked about, as Docker does", () => {
  const said = "mount `/tmp` to `bin/busybox`: Not a directory";
  const { kind, message } = startError({ said, program: "prog", kind: "container" });
  const words =
    'error during container init: error mounting "/tmp" to rootfs at "/bin/busybox": not a directory: unknown';
  const question = "Are you trying to mount a directory onto a file (or vice-versa)?";
  expect([kind, message]).toEqual(["invalid", expect.stringContaining(`${lead}${words}: ${question}`)]);
  expect(createFailure(startError({ said, program: "prog", kind: "container" }))?.exitCode).toBe(127);
});

test("another error is no failure to start", () => {
  expect(createFailure(new EngineError("not-found", "No such file or directory"))).toBeUndefined();
});
