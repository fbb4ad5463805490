import { existsSync, readdirSync, readFileSync } from "node:fs";

/** What an engine could leave behind in the kernel and on disk; compared before and after all tests. */
export async function kernelState(): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const target = line.split(" ")[4];
    if (target) found.add(`mount ${target}`);
  }
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const name = commandOf(pid);
    if (/^(conmon|crun|runc|berth)\b/.test(name)) found.add(`process ${name}`);
  }
  for (const link of readdirSync("/sys/class/net")) found.add(`link ${link}`);
  for (const name of existsSync("/run/netns") ? readdirSync("/run/netns") : []) found.add(`netns ${name}`);
  for (const line of (await output(["nft", "list", "tables"])).split("\n")) if (line !== "") found.add(`nft ${line}`);
  for (const root of ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids"]) {
    for (const name of existsSync(root) ? readdirSync(root) : [])
      if (name.startsWith("berth")) found.add(`cgroup ${root}/${name}`);
  }
  for (const name of readdirSync("/tmp")) if (name.startsWith("berth-")) found.add(`file /tmp/${name}`);
  return found;
}

export interface KernelObjects {
  readonly links: string[];
  readonly cgroups: string[];
  readonly nft: string;
}

/** What the kernel holds for one engine, by the tag that all its names carry. */
export async function kernelObjects(tag: string): Promise<KernelObjects> {
  const below = cgroupRoots.map((root) => `${root}/berth-${tag}`).filter((path) => existsSync(path));
  const directories = below.flatMap((path) =>
    readdirSync(path, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [`${path}/${one.name}`] : [])),
  );
  return {
    links: readdirSync("/sys/class/net")
      .filter((name) => name.includes(tag))
      .sort(),
    cgroups: directories.sort(),
    nft: await output(["nft", "list", "table", "ip", `berth_${tag}`]),
  };
}

const cgroupRoots = ["/sys/fs/cgroup", ...["unified", "memory", "pids"].map((name) => `/sys/fs/cgroup/${name}`)];

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return ""; // it has ended
  }
}

async function output(argv: readonly string[]): Promise<string> {
  const child = Bun.spawn([...argv], { stdout: "pipe", stderr: "ignore" });
  const text = await new Response(child.stdout).text();
  await child.exited;
  return text;
}
