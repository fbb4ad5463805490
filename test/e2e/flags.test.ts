import { expect, test } from "bun:test";
import { cli, firstLine } from "../support/engine.ts";

/** Nobody listens there: docker then shows the flags for every system. */
const nowhere = "unix:///nonexistent/docker.sock";

/** Flags that are not for Linux without a swarm, and why. */
const absent: Readonly<Record<string, string>> = {
  "--cpu-count": "Windows",
  "--cpu-percent": "Windows",
  "--io-maxbandwidth": "Windows",
  "--io-maxiops": "Windows",
  "--use-api-socket": "experimental, about docker's own socket and logins",
  "--kernel-memory": "of the CLI 20; no engine has it any more",
  "--help": "every command has it without a line of its own",
};

/** `-m, --memory` of each line. */
async function flags(which: "docker" | "berth", command: string): Promise<Set<string>> {
  const { stdout } = await cli(which, nowhere, [...command.split(" "), "--help"]);
  const lines = stdout.match(/^ +(-\w, )? *--[a-z0-9-]+/gm) ?? [];
  return new Set(lines.map((line) => line.trim()));
}

test.each([
  "run",
  "create",
  "update",
  "exec",
  "container run",
  "container create",
  "container update",
  "container exec",
])("%s has docker's flags under their names and letters", async (command) => {
  const theirs = [...(await flags("docker", command))].filter((flag) => !(flag in absent));
  const ours = await flags("berth", command);
  expect(theirs.length).toBeGreaterThan(5);
  expect(theirs.filter((flag) => !ours.has(flag))).toEqual([]);
});

/** What both say without asking an engine, but for the name of the program. */
const refused: readonly (readonly string[])[] = [
  ["run", "--memory", "x", "i"],
  ["run", "--cpus", "1.1234567891", "i"],
  ["run", "--cpu-shares", "x", "i"],
  ["run", "--blkio-weight", "100000", "i"],
  ["run", "--blkio-weight", "x", "i"],
  ["run", "--blkio-weight-device", "/dev/null:5", "i"],
  ["run", "--device-read-bps", "/dev/null:x", "i"],
  ["run", "--device-write-iops", "/dev/null:-1", "i"],
  ["run", "--ulimit", "nofile=x", "i"],
  ["run", "--ulimit", "nofile=5:1", "i"],
  ["run", "--ulimit", "nofile=1:2:3", "i"],
  ["run", "--ulimit", "foo=1", "i"],
  ["run", "--memory-swappiness", "101", "i"],
  ["run", "--device-cgroup-rule", "x", "i"],
  ["run", "--security-opt", "x", "i"],
  ["run", "--security-opt", "seccomp=/no/such/file", "i"],
  ["run", "--cgroupns", "x", "i"],
  ["run", "--pid", "x", "i"],
  ["run", "--pid", "container:", "i"],
  ["run", "--uts", "x", "i"],
  ["run", "--userns", "x", "i"],
  ["run", "--sysctl", "kernel.panic=1", "i"],
  ["run", "--sysctl", "x", "i"],
  ["run", "--dns", "300.1.1.1", "i"],
  ["run", "--dns-search", "a_b!", "i"],
  ["run", "--label", "=x", "i"],
  ["run", "--storage-opt", "x", "i"],
  ["run", "--gpus", "x", "i"],
  ["run", "--gpus", "count=1,count=2", "i"],
  ["run", "--gpus", "colour=red", "i"],
  ["run", "-a", "x", "i"],
  ["create", "--pids-limit", "x", "i"],
  ["create", "--oom-score-adj", "1.5", "i"],
  ["update", "--memory", "x", "c"],
  ["update", "--cpus", "x", "c"],
  ["update", "c"],
  ["exec", "--env", "=x", "c", "true"],
  ["exec", "c"],
];

test.each(refused.map((argv) => [argv.join(" "), argv] as const))(
  "%s is refused in docker's words",
  async (_, argv) => {
    const [theirs, ours] = await Promise.all([cli("docker", nowhere, argv), cli("berth", nowhere, argv)]);
    expect({ code: ours.code, stderr: firstLine(ours.stderr, "berth") }).toEqual({
      code: theirs.code,
      stderr: firstLine(theirs.stderr, "docker"),
    });
  },
);
