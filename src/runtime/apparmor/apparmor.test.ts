import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { nullLog } from "../../log/mod.ts";
import { Policy } from "./policy.ts";
import { defaultProfile, profileText } from "./profile.ts";

test("the profile is as its golden file says", () => {
  const golden = new URL("testdata/berth-default", import.meta.url);
  if (process.env["UPDATE_GOLDEN"]) writeFileSync(golden, profileText());
  expect(profileText()).toBe(readFileSync(golden, "utf8"));
});

test.skipIf(Bun.which("apparmor_parser") === null)("apparmor_parser takes it", async () => {
  const argv = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--quiet"];
  const child = Bun.spawn(argv, { stdin: Buffer.from(profileText()), stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  expect({ said, code: await child.exited }).toMatchObject({ code: 0 }); // it may warn of what its host lacks
});

/** Which permissions the profile's file rules deny on a path, with globs as regular expressions. */
function denied(path: string): string {
  const rules = [...profileText().matchAll(/^ {2}deny (\/\S+) (\w+),$/gm)];
  const hits = rules.filter(([, glob = ""]) => expression(glob).test(path));
  return [...new Set(hits.flatMap(([, , permissions = ""]) => [...permissions]))].sort().join("");
}

function expression(glob: string): RegExp {
  const parts = glob.split(/(\*\*|\*|\[\^[^\]]+\]|[{,}])/).map((part) => {
    if (part === "**") return ".*";
    if (/^[{,}]$/.test(part)) return { "{": "(?:", ",": "|", "}": ")" }[part];
    if (part === "*") return "[^/]*";
    return part.startsWith("[^") ? part : part.replace(/[.+?()|{}$\\]/g, "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`);
}

describe("what it denies", () => {
  test.each([
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/s",
    "/proc/sys/kernel/shadow",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/fs/suid_dumpable",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/bus/pci/00/00.0",
    "/proc/irq/1/smp_affinity",
    "/proc/scsi/scsi",
    "/proc/s/x",
    "/sys/class/net",
    "/sys/kernel/uevent_helper",
    "/sys/fs/bpf/x",
    "/sys/fs/c",
    "/sys/power/state",
  ])("writing to %s", (path) => expect(denied(path)).toContain("w"));

  test.each([
    "/proc/sysrq-trigger",
    "/proc/kcore",
    "/sys/firmware/efi/efivars/x",
    "/sys/kernel/security/apparmor/.load",
  ])("even reading %s", (path) => expect(denied(path)).toContain("r"));

  test.each([
    "/proc/1/oom_score_adj",
    "/proc/25/attr/exec",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/msgmnb",
    "/proc/sys/kernel/sem",
    "/proc/sys/fs/mqueue/msg_max",
    "/sys/fs/cgroup/cgroup.procs",
    "/etc/passwd",
    "/var/lib/proc/sys/vm",
  ])("nothing on %s", (path) => expect(denied(path)).toBe(""));
});

describe("loading", () => {
  test("where the kernel has no AppArmor nothing is done", async () => {
    using lab = new Lab({ enabled: "N\n" });
    await lab.policy.open();
    expect([lab.policy.enabled, lab.policy.profile, lab.runs]).toEqual([false, undefined, []]);
  });

  test("once, while the same text is in the kernel", async () => {
    using lab = new Lab({});
    await lab.policy.open();
    expect(lab.runs).toEqual([profileText()]);
    expect(lab.policy.profile).toBe(defaultProfile);
    const again = lab.again();
    await again.open();
    expect([lab.runs.length, again.profile]).toEqual([1, defaultProfile]);
  });

  test("again when another version of the text was loaded, or it was unloaded", async () => {
    using lab = new Lab({});
    await lab.policy.open();
    writeFileSync(lab.marker, "an older one");
    await lab.again().open();
    expect(lab.runs.length).toBe(2);
    writeFileSync(lab.files.profiles, "somebodys-berth-default (enforce)\nberth-default-old (enforce)\n");
    await Promise.all([lab.policy.ensure(defaultProfile), lab.policy.ensure(defaultProfile)]);
    expect(lab.runs.length).toBe(3);
    await lab.policy.ensure("unconfined");
    await lab.policy.ensure(undefined);
    await lab.policy.ensure(defaultProfile);
    expect(lab.runs.length).toBe(3);
  });

  test("a host without apparmor_parser, or whose parser refuses it, goes without", async () => {
    using missing = new Lab({ failure: new EngineError("unavailable", "The program apparmor_parser is missing") });
    await missing.policy.open();
    expect([missing.policy.enabled, missing.policy.profile]).toEqual([true, undefined]);
    using refusing = new Lab({ code: 1 });
    await refusing.policy.open();
    expect([refusing.policy.profile, existsSync(refusing.marker)]).toEqual([undefined, false]);
    await expect(refusing.policy.ensure(defaultProfile)).rejects.toMatchObject({ kind: "unavailable" });
    writeFileSync(refusing.files.profiles, `${defaultProfile} (enforce)\n`);
    const another = refusing.again();
    await another.open();
    expect(another.profile).toBe(defaultProfile); // an older one is better than none
  });
});

/** A kernel of files, and a parser that "loads" by adding a line to one. */
class Lab implements Disposable {
  readonly runs: string[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "berth-apparmor-"));
  readonly marker = join(this.#directory, "marker");
  readonly files = { enabled: join(this.#directory, "enabled"), profiles: join(this.#directory, "profiles") };
  readonly #does: { code?: number; failure?: EngineError };
  readonly policy: Policy;

  constructor({ enabled = "Y\n", ...does }: { enabled?: string; code?: number; failure?: EngineError }) {
    this.#does = does;
    writeFileSync(this.files.enabled, enabled);
    writeFileSync(this.files.profiles, "/usr/bin/man (enforce)\n");
    this.policy = this.again();
  }

  again(): Policy {
    const processes = { run: (_: readonly string[], options?: { stdin?: string | Uint8Array }) => this.#run(options) };
    return new Policy({ processes, log: nullLog, marker: this.marker, files: this.files });
  }

  async #run({ stdin = "" }: { stdin?: string | Uint8Array } = {}) {
    if (this.#does.failure) throw this.#does.failure;
    const { code = 0 } = this.#does;
    this.runs.push(String(stdin));
    if (code === 0) writeFileSync(this.files.profiles, `${defaultProfile} (enforce)\n`);
    return { code, stdout: "", stderr: code === 0 ? "" : "syntax error" };
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
