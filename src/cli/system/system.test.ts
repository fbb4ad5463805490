import { expect, test } from "bun:test";
import { cli, refusing } from "../testing/fake.ts";

test("info reads like docker's, and warnings go to standard error", async () => {
  const info = {
    Containers: 3,
    ContainersRunning: 1,
    ContainersPaused: 0,
    ContainersStopped: 2,
    Images: 4,
    ServerVersion: "0.1.0",
    Driver: "overlay2",
    DriverStatus: [["Backing Filesystem", "ext4"]],
    CgroupDriver: "cgroupfs",
    CgroupVersion: "2",
    Plugins: { Volume: ["local"], Network: ["bridge", "host"], Log: null },
    Swarm: { LocalNodeState: "inactive" },
    Runtimes: { runc: {}, crun: {} },
    SecurityOptions: ["name=seccomp,profile=builtin", "name=cgroupns"],
    NCPU: 2,
    MemTotal: 4 * 2 ** 30,
    Labels: ["a=b"],
    RegistryConfig: {
      InsecureRegistryCIDRs: ["127.0.0.0/8"],
      IndexConfigs: { "r:5": { Secure: false } },
      Mirrors: ["http://m/"],
    },
    Warnings: ["WARNING: no swap"],
  };
  const ran = await cli(["info"], { answers: { "GET /info": info } });
  expect(ran).toMatchObject({ status: 0, err: "WARNING: no swap\n" });
  expect(ran.out).toBe(`Server:
 Containers: 3
  Running: 1
  Paused: 0
  Stopped: 2
 Images: 4
 Server Version: 0.1.0
 Storage Driver: overlay2
  Backing Filesystem: ext4
 Cgroup Driver: cgroupfs
 Cgroup Version: 2
 Plugins:
  Volume: local
  Network: bridge host
 Swarm: inactive
 Runtimes: crun runc
 Security Options:
  seccomp
   Profile: builtin
  cgroupns
 CPUs: 2
 Total Memory: 4GiB
 Debug Mode: false
 Labels:
  a=b
 Experimental: false
 Insecure Registries:
  r:5
  127.0.0.0/8
 Registry Mirrors:
  http://m/
 Live Restore Enabled: false

`);
  expect((await cli(["info", "-f", "{{.CgroupVersion}}"], { answers: { "GET /info": info } })).out).toBe("2\n");
  expect(JSON.parse((await cli(["system", "info", "-f", "json"], { answers: { "GET /info": info } })).out)).toEqual(
    info,
  );
});

test("version tells its own even when no engine answers", async () => {
  const server = {
    Version: "9",
    ApiVersion: "1.51",
    MinAPIVersion: "1.24",
    GitCommit: "g",
    Os: "linux",
    Arch: "amd64",
    KernelVersion: "6",
    Components: [
      { Name: "Engine", Version: "9" },
      { Name: "crun", Version: "1.8" },
    ],
  };
  const { out } = await cli(["version"], { answers: { "GET /version": server } });
  expect(out).toContain("Client:\n Version:          ");
  expect(out).toContain("\nServer:\n Version:          9\n API version:      1.51 (minimum version 1.24)\n");
  expect(out).toEndWith(" crun:             1.8\n");
  expect((await cli(["version", "-f", "{{.Server.Version}}"], { answers: { "GET /version": server } })).out).toBe(
    "9\n",
  );
  const alone = await cli(["version"], { answers: { "GET /version": refusing("unavailable", "gone") } });
  expect(alone).toMatchObject({ status: 1, err: "Error response from daemon: gone\n" });
  expect(alone.out).toStartWith("Client:\n");
});

test("events", async () => {
  const event = {
    Type: "container",
    Action: "die",
    Actor: { ID: "1", Attributes: { name: "web", exitCode: "3" } },
    scope: "local",
    time: 1700000000,
    timeNano: Number(1_700_000_000_123_456_768n),
  };
  const answers = { "GET /events": [event, { ...event, Actor: { ID: "2", Attributes: {} } }] };
  const ran = await cli(["events", "-f", "type=container", "--since", "5m"], { answers, env: { TZ: "UTC" } });
  expect(ran.out).toMatch(
    /^2023-11-1\dT\d\d:\d\d:\d\d\.123456768\S+ container die 1 \(exitCode=3, name=web\)\n.* container die 2\n$/,
  );
  expect(ran.asked).toEqual(['GET /events?since=5m&filters={"type":["container"]}']);
  expect((await cli(["events", "--format", "{{.Action}} {{.Actor.ID}}"], { answers })).out).toBe("die 1\ndie 2\n");
  expect((await cli(["system", "events", "--format", "json"], { answers })).out.split("\n")[0]).toBe(
    JSON.stringify(event),
  );
  expect(await cli(["events", "--format", "{{"], { answers })).toMatchObject({ status: 1, asked: [] });
});

test("inspect looks for every kind of object, or for the one that was asked for", async () => {
  const no = refusing("not-found", "no");
  const answers = {
    "GET /containers/x/json": no,
    "GET /images/x/json": no,
    "GET /networks/x": { Name: "x" },
    "GET /volumes/x": { Name: "never" },
  };
  expect((await cli(["inspect", "-f", "{{.Name}}", "x"], { answers })).out).toBe("x\n");
  expect((await cli(["inspect", "--type", "volume", "-f", "{{.Name}}", "x"], { answers })).out).toBe("never\n");
  expect(await cli(["inspect", "none"])).toMatchObject({
    status: 1,
    out: "[]\n",
    err: "Error: No such object: none\n",
  });
  expect(await cli(["inspect", "--type", "thing", "x"])).toMatchObject({ status: 125 });
  const broken = { "GET /containers/x/json": refusing("internal", "broken") };
  expect(await cli(["inspect", "x"], { answers: broken })).toMatchObject({
    status: 1,
    out: "[]\n",
    err: "Error response from daemon: broken\n",
  });
  expect(await cli(["inspect", "-f", "{{nope}}", "x"], { answers })).toMatchObject({ status: 1 });
});

const usage = {
  LayersSize: 3_000_000,
  Images: [
    {
      Id: "sha256:1",
      RepoTags: ["a:1"],
      RepoDigests: [],
      Created: 0,
      Size: 2_000_000,
      SharedSize: 1_000_000,
      Containers: 1,
    },
    {
      Id: "sha256:2",
      RepoTags: [],
      RepoDigests: [],
      Created: 0,
      Size: 2_000_000,
      SharedSize: 1_000_000,
      Containers: 0,
    },
  ],
  Containers: [
    {
      Id: "c1",
      Names: ["/web"],
      Image: "a:1",
      Command: "sh",
      Created: 0,
      State: "running",
      Status: "Up",
      Mounts: [],
      SizeRw: 1000,
    },
    {
      Id: "c2",
      Names: ["/old"],
      Image: "a:1",
      Command: "sh",
      Created: 0,
      State: "exited",
      Status: "Exited",
      Mounts: [],
      SizeRw: 3000,
    },
  ],
  Volumes: [
    { Name: "v", UsageData: { Size: 500, RefCount: 1 } },
    { Name: "w", UsageData: { Size: 1500, RefCount: 0 } },
  ],
  BuildCache: [
    {
      ID: "b1",
      Type: "regular",
      Size: 700,
      CreatedAt: "2026-01-01T00:00:00Z",
      LastUsedAt: null,
      UsageCount: 2,
      InUse: false,
      Shared: false,
    },
  ],
};

test("system df", async () => {
  const answers = { "GET /system/df": usage };
  expect((await cli(["system", "df"], { answers })).out).toBe(`TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
Images          2         1         3MB       2MB (66%)
Containers      2         1         4kB       3kB (75%)
Local Volumes   2         1         2kB       1.5kB (75%)
Build Cache     1         0         700B      700B
`);
  expect((await cli(["system", "df", "--format", "{{.Type}}={{.TotalCount}}"], { answers })).out).toBe(
    "Images=2\nContainers=2\nLocal Volumes=2\nBuild Cache=1\n",
  );
  const { out } = await cli(["system", "df", "-v"], { answers });
  expect(out).toContain("<none>       <none>");
  expect(out).toContain("Build cache usage: 700B");
  expect(out).toMatch(/^w {2,}0 {2,}1\.5kB$/m);
  expect((await cli(["system", "df"], { answers: { "GET /system/df": {} } })).out).toContain(
    "Images          0         0         0B        0B",
  );
});

const pruned = {
  "POST /containers/prune": { ContainersDeleted: ["c1"], SpaceReclaimed: 1000 },
  "POST /networks/prune": { NetworksDeleted: null },
  "POST /volumes/prune": { VolumesDeleted: ["v"], SpaceReclaimed: 10 },
  "POST /images/prune": { ImagesDeleted: [{ Untagged: "a:1" }, { Deleted: "sha256:1" }], SpaceReclaimed: 2_000_000 },
  "POST /build/prune": { CachesDeleted: ["b1"], SpaceReclaimed: 500 },
};

test("system prune takes everything in turn", async () => {
  const ran = await cli(["system", "prune", "-f", "-a", "--volumes", "--filter", "until=24h"], { answers: pruned });
  expect(ran).toMatchObject({
    status: 0,
    out: "Deleted Containers:\nc1\n\nDeleted Volumes:\nv\n\nDeleted Images:\nUntagged: a:1\nDeleted: sha256:1\n\nDeleted build cache objects:\nb1\n\nTotal reclaimed space: 2.002MB\n",
  });
  expect(ran.asked).toEqual([
    'POST /containers/prune?filters={"until":["24h"]}',
    'POST /networks/prune?filters={"until":["24h"]}',
    "POST /volumes/prune",
    'POST /images/prune?filters={"until":["24h"],"dangling":["false"]}',
    'POST /build/prune?all=true&filters={"until":["24h"]}',
  ]);
  expect((await cli(["system", "prune", "-f"], { answers: pruned })).asked).toHaveLength(4);
});

test("a prune asks first, and does nothing without a yes", async () => {
  const no = await cli(["system", "prune"], { answers: pruned, stdin: "n\n" });
  expect(no).toMatchObject({ status: 0, asked: [] });
  expect(no.out).toContain("WARNING! This will remove:\n  - all stopped containers\n");
  expect(no.out).toEndWith("Are you sure you want to continue? [y/N] ");
  expect((await cli(["container", "prune"], { answers: pruned, stdin: "" })).asked).toEqual([]);
  expect((await cli(["container", "prune"], { answers: pruned, stdin: "y\n" })).out).toEndWith(
    "Deleted Containers:\nc1\n\nTotal reclaimed space: 1kB\n",
  );
});

test.each([
  [
    ["container", "prune", "-f", "--filter", "label=a"],
    ['POST /containers/prune?filters={"label":["a"]}'],
    "Deleted Containers:\nc1\n\nTotal reclaimed space: 1kB\n",
  ],
  [
    ["image", "prune", "-f"],
    ['POST /images/prune?filters={"dangling":["true"]}'],
    "Deleted Images:\nUntagged: a:1\nDeleted: sha256:1\n\nTotal reclaimed space: 2MB\n",
  ],
  [["network", "prune", "-f"], ["POST /networks/prune"], ""],
  [
    ["volume", "prune", "-f", "-a"],
    ['POST /volumes/prune?filters={"all":["true"]}'],
    "Deleted Volumes:\nv\n\nTotal reclaimed space: 10B\n",
  ],
  [
    ["builder", "prune", "-f", "-a"],
    ["POST /build/prune?all=true"],
    "Deleted build cache objects:\nb1\n\nTotal reclaimed space: 500B\n",
  ],
])("%j", async (argv, asked, out) => {
  expect(await cli(argv, { answers: pruned })).toMatchObject({ status: 0, asked, out });
  const failing = Object.fromEntries(
    Object.keys(pruned).map((key) => [key, refusing("conflict", "a prune operation is already running")]),
  );
  expect(await cli(argv, { answers: failing })).toMatchObject({
    status: 1,
    err: "Error response from daemon: a prune operation is already running\n",
  });
});
