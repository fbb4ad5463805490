import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CgroupControls, createCgroups, createMounts, createProcesses } from "../../host/mod.ts";
import { nullLog } from "../../log/mod.ts";
import { hostLimits } from "../limits.ts";
import { openRuntime } from "../open.ts";
import type { Bundle, ExecRequest, Exit, Runtime, SpecInput, Task, TaskStreams } from "../runtime.ts";
import { ociSpec } from "../spec.ts";

/** For tests and measurements: a real runtime in a directory of its own, with a busybox root. Everything goes on dispose. */
export class Lab implements AsyncDisposable {
  readonly directory: string;
  readonly host = { processes: createProcesses(), cgroups: createCgroups(), mounts: createMounts() };
  readonly name: "crun" | "runc";
  readonly cgroupParent: string;
  #runtime: Runtime | undefined;
  #count = 0;
  readonly #made = new Set<string>();

  private constructor(name: "crun" | "runc") {
    this.name = name;
    this.directory = mkdtempSync(join(tmpdir(), "berth-runtime-"));
    this.cgroupParent = `/${this.directory.slice(this.directory.lastIndexOf("/") + 1)}`;
    makeRoot(this.rootfs);
  }

  static async open(name: "crun" | "runc"): Promise<Lab> {
    const lab = new Lab(name);
    await lab.reopen();
    return lab;
  }

  get runtime(): Runtime {
    if (!this.#runtime) throw new Error("the lab is not open");
    return this.#runtime;
  }

  get rootfs(): string {
    return join(this.directory, "rootfs");
  }

  /** Another runtime on the same directory, as after the daemon's death. */
  async reopen(): Promise<Runtime> {
    const { host, name, cgroupParent } = this;
    const options = { host, log: nullLog, execRoot: join(this.directory, "exec"), cgroupParent, runtime: name };
    this.#runtime = await openRuntime(options);
    return this.#runtime;
  }

  bundle(args: readonly string[], change: Partial<SpecInput> & { bundle?: Partial<Bundle> } = {}): Bundle {
    const id = `c${this.#count++}`;
    const directory = join(this.directory, id);
    mkdirSync(directory);
    this.#made.add(id);
    const { bundle, ...input } = change;
    const terminal = bundle?.terminal ?? false;
    const spec = ociSpec({
      ...this.#input(id, args),
      ...input,
      ...(terminal ? { process: { ...this.#input(id, args).process, terminal } } : {}),
    });
    return { id, directory, spec, terminal, stdin: "none", logPath: join(directory, "log"), ...bundle };
  }

  exec(containerId: string, args: readonly string[], change: Partial<ExecRequest> = {}): ExecRequest {
    const execId = `e${this.#count++}`;
    return {
      execId,
      containerId,
      directory: join(this.directory, execId),
      process: { user: { uid: 0, gid: 0 }, args, env: ["PATH=/bin"], cwd: "/" },
      terminal: false,
      stdin: false,
      attach: true,
      ...change,
    };
  }

  /** Creates, attaches, starts. */
  async run(bundle: Bundle): Promise<{ task: Task; output: ReturnType<typeof outputOf> }> {
    const task = await this.runtime.create(bundle);
    const output = outputOf(await this.runtime.attach(bundle.id));
    await this.runtime.start(bundle.id);
    return { task, output };
  }

  /** Runs a shell script to its end and gives its output. */
  async shell(script: string, change: Partial<SpecInput> = {}) {
    const bundle = this.bundle(["/bin/sh", "-c", script], change);
    const exit = exitOf(this.runtime, bundle.id);
    const { output } = await this.run(bundle);
    const text = await output;
    const { code } = await exit;
    await this.runtime.delete(bundle.id);
    return { ...text, code };
  }

  /** A container that runs until it is deleted. */
  async sleeper(change: Partial<SpecInput> = {}): Promise<{ id: string; task: Task }> {
    const bundle = this.bundle(["/bin/sleep", "1000"], change);
    const { task, output } = await this.run(bundle);
    output.catch(() => undefined);
    return { id: bundle.id, task };
  }

  #input(id: string, args: readonly string[]): SpecInput {
    return {
      ...plainInput,
      id,
      rootfs: this.rootfs,
      process: { ...plainInput.process, args },
      cgroupPath: `${this.cgroupParent}/${id}`,
      limits: hostLimits(this.host, this.runtime),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#made) await this.runtime.delete(id);
    this.host.cgroups.remove(this.cgroupParent);
    rmSync(this.directory, { recursive: true, force: true });
    // A runtime of an earlier "daemon" of the same test may still look after what it knew, which makes its directory anew.
    process.once("exit", () => rmSync(this.directory, { recursive: true, force: true }));
  }
}

/** A container that asks for nothing special. */
export const plainInput: SpecInput = {
  id: "plain",
  rootfs: "/rootfs",
  readonlyRootfs: false,
  process: {
    args: ["/bin/true"],
    env: ["PATH=/bin"],
    cwd: "/",
    terminal: false,
    uid: 0,
    gid: 0,
    additionalGids: [],
  },
  hostname: "box",
  domainname: "",
  mounts: [],
  shmSize: 67_108_864,
  privileged: false,
  capAdd: [],
  capDrop: [],
  noNewPrivileges: false,
  seccomp: "default",
  namespaces: { pid: "private", ipc: "private", uts: "private", network: "private", cgroup: "host" },
  sysctls: {},
  cgroupPath: "/berth/plain",
  resources: {
    memory: 0,
    memorySwap: 0,
    memoryReservation: 0,
    oomKillDisable: false,
    nanoCpus: 0,
    cpuShares: 0,
    cpuPeriod: 0,
    cpuQuota: 0,
    cpusetCpus: "",
    cpusetMems: "",
    pidsLimit: 0,
    blkioWeight: 0,
    throttle: [],
  },
  devices: [],
  deviceCgroupRules: [],
  rlimits: [],
  oomScoreAdj: 0,
  annotations: {},
  limits: {
    capabilities: new Set(["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]),
    rlimits: new Map([["RLIMIT_NOFILE", 20_000]]),
    oomScoreAdj: 0,
    cgroupVersion: "v1",
    apparmor: false,
    selinux: false,
    runtime: "crun",
    kernel: "6.1.0",
    machine: "x64",
    controls: controls(),
  },
};

/** All but weights. */
export function controls(change: Partial<CgroupControls> = {}): CgroupControls {
  const none = createCgroups("/nonexistent").controls;
  const all = Object.fromEntries(Object.entries(none).map(([name, has]) => [name, has === false ? true : has]));
  return { ...none, ...all, blkioWeight: false, ...change };
}

function makeRoot(rootfs: string): void {
  for (const name of ["bin", "proc", "dev", "sys", "tmp", "etc"]) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"));
  const applets = "sh cat echo true false sleep stty head dd id kill tr wc grep tail hostname ls touch env ulimit";
  for (const applet of applets.split(" ")) symlinkSync("busybox", join(rootfs, "bin", applet));
  writeFileSync(join(rootfs, "etc/data"), "not a program\n", { mode: 0o644 });
}

/** The next exit that is told of this task. */
export async function exitOf(runtime: Runtime, id: string): Promise<Exit> {
  const abort = new AbortController();
  for await (const exit of runtime.exits(abort.signal)) if (exit.id === id) return exit;
  throw new Error(`no exit of ${id}`);
}

/** All output up to the end. */
export async function outputOf(streams: TaskStreams | undefined): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: "", stderr: "" };
  for await (const { stream, bytes } of streams?.output ?? []) text[stream] += Buffer.from(bytes).toString();
  return text;
}

/** What the work was rejected with. */
export async function caught(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error("nothing was thrown");
    },
    (err: unknown) => err,
  );
}

/** Waits for something that no event tells. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 400) throw new Error("it did not come true");
    await Bun.sleep(10);
  }
}
