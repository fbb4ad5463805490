import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { connect } from "../../client/mod.ts";
import { cliMain } from "../main.ts";
import { docker, dockerCli, recordCreates } from "../testing/docker.ts";
import { fakeIo } from "../testing/fake.ts";

/** Flags of one `create`, between which docker's own command line and ours must not differ. */
const cases: readonly (readonly string[])[] = [
  ["x"],
  ["x", "cmd", "-a", "--rm"],
  ["-i", "x"],
  ["-t", "x"],
  ["-a", "stdout", "x"],
  ["-a", "STDIN", "-i", "x"],
  ["--rm", "--name", "n", "x"],
  ["-e", "A=1", "-e", "B=", "-e", "FOO", "-e", "UNSET_HERE", "x"],
  ["--env-file", "/etc/hostname", "x"],
  ["-w", "/w", "-u", "1:2", "-h", "host", "--domainname", "d", "x"],
  ["--entrypoint", "/bin/sh", "x", "-c", "true"],
  ["--entrypoint", "", "x", "a"],
  ["-l", "a=b", "-l", "c", "--label", "d=e=f", "x"],
  ["--stop-signal", "HUP", "--stop-timeout", "0", "x"],
  ["-v", "/a", "-v", "vol:/b", "-v", "/c:/d:ro", "-v", "./rel:/e", "-v", ".:/f", "x"],
  ["--tmpfs", "/t", "--tmpfs", "/u:size=1m,mode=1777", "x"],
  ["--volumes-from", "c", "--volumes-from", "d:ro", "--volume-driver", "local", "x"],
  ["--mount", "type=bind,src=/a,dst=/b,ro", "x"],
  ["--mount", "type=bind,source=./a,target=/b,bind-propagation=rshared,bind-recursive=disabled", "x"],
  ["--mount", "type=bind,src=/a,dst=/b,readonly,bind-propagation=rprivate,bind-recursive=readonly", "x"],
  ["--mount", "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1777", "x"],
  ["--mount", "src=v,dst=/y,volume-nocopy,volume-label=a=b,volume-label=c=d,volume-opt=k=v,volume-driver=local", "x"],
  ["--mount", 'type=volume,dst=/y,"volume-opt=o=a,b"', "x"],
  ["--mount", "type=volume,src=v,dst=/y,volume-subpath=s,readonly=false", "x"],
  ["-p", "80", "-p", "81:82/udp", "-p", "127.0.0.1:8080:80", "-p", "127.0.0.1::83", "x"],
  ["-p", "8000-8002:80-82", "-p", "9000-9010:90", "-p", "[::1]:1:2", "-p", "::1:3:4", "x"],
  ["-p", "published=8080,target=80,protocol=udp", "x"],
  ["-P", "--expose", "70", "--expose", "71-73/udp", "x"],
  ["--network", "foo", "--ip", "1.2.3.4", "--ip6", "::2", "--network-alias", "a", "--link", "y:z", "x"],
  ["--network", "name=foo,alias=a,alias=b,ip=1.2.3.4,driver-opt=k=v,mac-address=02:42:ac:11:00:02", "x"],
  ["--network", "foo", "--network", "bar", "--link-local-ip", "169.254.1.1", "x"],
  ["--net", "host", "x"],
  ["--network", "container:abc", "x"],
  ["--link", "db:alias", "x"],
  ["--mac-address", "02:42:ac:11:00:02", "x"],
  ["--dns", "1.1.1.1", "--dns-search", "a.b", "--dns-option", "ndots:1", "--dns-opt", "rotate", "x"],
  ["--add-host", "a:1.2.3.4", "--add-host", "b=::1", "--add-host", "c:host-gateway", "--add-host", "d:[::2]", "x"],
  ["-m", "512m", "--memory-swap", "-1", "--memory-reservation", "1.5g", "--memory-swappiness", "10", "x"],
  ["--cpus", "0.5", "--cpu-shares", "5", "--cpuset-cpus", "0-1", "--cpuset-mems", "0", "x"],
  ["--cpu-period", "100", "--cpu-quota", "200", "--cpu-rt-period", "3", "--cpu-rt-runtime", "4", "x"],
  ["--pids-limit", "20", "--oom-kill-disable", "--oom-score-adj", "-5", "--shm-size", "64m", "x"],
  ["--ulimit", "nofile=1:2", "--ulimit", "nproc=3", "x"],
  ["--device", "/dev/null", "--device", "/dev/zero:/dev/z:r", "--device", "/dev/fuse:rw", "x"],
  ["--device-cgroup-rule", "c 1:3 rwm", "--device-read-bps", "/dev/sda:1mb", "--device-write-iops", "/dev/sda:5", "x"],
  ["--blkio-weight", "100", "--blkio-weight-device", "/dev/sda:200", "x"],
  ["--gpus", "all", "--isolation", "default", "--disable-content-trust", "x"],
  ["--gpus", '"device=0,1",driver=d,"capabilities=a,b","options=k=v,l=w"', "x"],
  ["--gpus", "2", "--memory-swappiness", "-1", "x"],
  ["--restart", "on-failure:3", "x"],
  ["--restart", "unless-stopped", "x"],
  ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--annotation", "a=b", "x"],
  [
    "--cap-add",
    "NET_ADMIN",
    "--cap-drop",
    "ALL",
    "--privileged",
    "--read-only",
    "--security-opt",
    "no-new-privileges",
    "x",
  ],
  ["--security-opt", "seccomp=unconfined", "--sysctl", "net.core.somaxconn=5", "--group-add", "audio", "x"],
  ["--pid", "host", "--ipc", "private", "--uts", "host", "--userns", "host", "--cgroupns", "host", "x"],
  ["--init", "x"],
  ["--cap-add", "all", "--cap-add", "sys_time", "--cap-drop", "ALL", "--cap-drop", "CAP_CHOWN", "x"],
  ["--cap-add", "chown", "--cap-drop", "chown", "--cap-drop", "kill", "x"],
  ["--security-opt", "systempaths=unconfined", "--security-opt", "label:disable", "x"],
  ["--security-opt", `seccomp=${process.cwd()}/tsconfig.json`, "x"],
  ["--init=false", "--cgroup-parent", "/p", "--runtime", "runc", "--storage-opt", "size=1g", "x"],
  ["--health-cmd", "true", "--health-interval", "1m30s", "--health-retries", "3", "--health-timeout", "500ms", "x"],
  ["--health-start-period", "1.5h", "--health-start-interval", "2s", "x"],
  ["--no-healthcheck", "x"],
];

async function ours(argv: readonly string[], host: string) {
  const { io, err } = fakeIo({ cwd: "/tmp", env: { FOO: "foo" } });
  const status = await cliMain(["create", ...argv], { io, connectTo: () => connect(host) });
  return { status, err: err() };
}

test.skipIf(dockerCli === undefined || !existsSync("/usr/local/bin/docker"))(
  "the body is the one that docker's command line sends",
  async () => {
    await using engine = await recordCreates();
    for (const argv of cases) {
      const theirs = await docker(["create", ...argv], { DOCKER_HOST: engine.host, FOO: "foo" });
      expect({ argv, status: theirs.status, err: theirs.err }).toEqual({ argv, status: 0, err: "" });
      const expected = meaning(engine.last());
      expect({ argv, ...(await ours(argv, engine.host)) }).toEqual({ argv, status: 0, err: "" });
      expect({ argv, body: meaning(engine.last()) }).toEqual({ argv, body: expected });
    }
  },
  120_000,
);

/** Wrong in docker's eyes as well: it is refused before anything is sent, with the same status and reason. */
const refused: readonly (readonly string[])[] = [
  ["--memory", "zz", "x"],
  ["--cpus", "x", "x"],
  ["-p", "99999", "x"],
  ["-p", "80:99999", "x"],
  ["-p", "80/icmp", "x"],
  ["-p", "1.2.3.4.5:80:80", "x"],
  ["-p", "80-81:80-82", "x"],
  ["--expose", "80:80", "x"],
  ["-v", "", "x"],
  ["--mount", "foo", "x"],
  ["--mount", "type=bind,src=/a", "x"],
  ["--mount", "type=bind,src=/a,dst=/b,nope=1", "x"],
  ["--mount", "type=bind,src=/a,dst=/b,ro=maybe", "x"],
  ["--mount", "type=bind,src=/a,dst=/b,bind-recursive=readonly", "x"],
  ["-e", "=x", "x"],
  ["--env-file", "/nope", "x"],
  ["--label-file", "/nope", "x"],
  ["--ulimit", "nofile", "x"],
  ["--add-host", "x", "x"],
  ["--health-interval", "x", "x"],
  ["--rm", "--restart", "always", "x"],
  ["--no-healthcheck", "--health-cmd", "x", "x"],
  ["--pull", "sometimes", "x"],
  ["--security-opt", "foo", "x"],
  ["--security-opt", "seccomp=/nope", "x"],
  ["--bogus", "x"],
  ["-p"],
  [],
];

test.skipIf(!existsSync("/usr/local/bin/docker"))(
  "what docker refuses is refused in its words",
  async () => {
    await using engine = await recordCreates();
    for (const argv of refused) {
      const theirs = await docker(["create", ...argv], { DOCKER_HOST: engine.host });
      const words = theirs.err.replaceAll("docker", "berth").replace("See 'berth", "Run 'berth");
      expect({ argv, ...(await ours(argv, engine.host)) }).toEqual({ argv, status: theirs.status, err: words });
    }
  },
  60_000,
);

/** A body without what stands for "nothing said": docker's client sends null, our own leaves it out, the engine sees no difference. */
function meaning(value: unknown): unknown {
  if (Array.isArray(value))
    return value.every((one) => one === 0) ? undefined : value.map((one) => meaning(one) ?? one);
  if (typeof value !== "object" || value === null)
    return value === null || value === "" || value === 0 || value === false ? undefined : value;
  const entries = Object.entries(value)
    .filter(([key, one]) => !(key === "MemorySwappiness" && one === -1))
    .map(([key, one]) => [key, ["Binds", "Env"].includes(key) && Array.isArray(one) ? one.toSorted() : one] as const) // docker's come from a map
    .map(([key, one]) => [key, isSet(key) && !isEmpty(one) ? one : meaning(one)] as const)
    .filter(([, one]) => one !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return false; // null is "as usual", an empty list "none"
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

/** Values that are said even when they are empty, or whose keys say it all. */
function isSet(key: string): boolean {
  return [
    "ExposedPorts",
    "Volumes",
    "Tmpfs",
    "Labels",
    "Init",
    "StopTimeout",
    "Entrypoint",
    "MaskedPaths",
    "ReadonlyPaths",
  ].includes(key);
}
