import type { DoctorCheck } from "../../wire/mod.ts";
import { ok, problem, warning } from "./check.ts";

/** A program that the engine runs: how it tells its version, Debian's package, and what does not work without it. */
export interface Program {
  readonly name: string;
  readonly argument: string;
  readonly package: string;
  /** Undefined for one that the daemon does not start without. */
  readonly lacks?: string;
}

/** What a program says of itself; undefined for one that is not there, "" for one that says nothing. */
export type Versions = ReadonlyMap<string, string | undefined>;

export const programs: readonly Program[] = [
  { name: "conmon", argument: "--version", package: "conmon" },
  { name: "nft", argument: "--version", package: "nftables" },
  { name: "ip", argument: "-V", package: "iproute2" },
  { name: "unshare", argument: "--version", package: "util-linux" },
  { name: "nsenter", argument: "--version", package: "util-linux" },
  { name: "ps", argument: "--version", package: "procps", lacks: "berth top fails" },
  { name: "xz", argument: "--version", package: "xz-utils", lacks: "archives compressed with xz cannot be read" },
  { name: "bzip2", argument: "--help", package: "bzip2", lacks: "archives compressed with bzip2 cannot be read" },
  { name: "mkfs.ext4", argument: "-V", package: "e2fsprogs", lacks: "volumes with a size cannot be made" },
  { name: "git", argument: "--version", package: "git", lacks: "builds cannot fetch from git" },
];

const runtimes: readonly Program[] = ["crun", "runc"].map((name) => ({ name, argument: "--version", package: name }));
const inits: readonly Program[] = ["docker-init", "tini-static", "catatonit", "tini"].map((name) => ({
  ...{ name, argument: "--version", package: name === "catatonit" ? name : "tini" },
}));
const apparmorParser: Program = {
  ...{ name: "apparmor_parser", argument: "--version", package: "apparmor" },
  lacks: "containers run without an AppArmor profile",
};

/** All whose versions are to be found out. */
export const askedPrograms: readonly Program[] = [...programs, ...runtimes, ...inits, apparmorParser];

export interface ProgramFacts {
  readonly versions: Versions;
  /** The OCI runtime that containers get, and why. */
  readonly runtime: { readonly name: string; readonly reason: string };
  readonly apparmor: boolean;
}

export function programChecks({ versions, runtime, apparmor }: ProgramFacts): DoctorCheck[] {
  const wanted = [...programs, ...(apparmor ? [apparmorParser] : [])];
  return [ociRuntime({ versions, runtime }), ...wanted.map((program) => check(program, versions)), init(versions)];
}

function check(program: Program, versions: Versions): DoctorCheck {
  const version = versions.get(program.name);
  if (version !== undefined) return ok(program.name, versionText(program.name, version));
  const advice = `apt-get install ${program.package}`;
  if (program.lacks === undefined) return problem(program.name, "not in the daemon's PATH: containers fail", advice);
  return warning(program.name, `not in the daemon's PATH: ${program.lacks}`, advice);
}

function ociRuntime({ versions, runtime }: Pick<ProgramFacts, "versions" | "runtime">): DoctorCheck {
  const there = runtimes.flatMap(({ name }) => {
    const version = versions.get(name);
    return version === undefined ? [] : [versionText(name, version)];
  });
  if (there.length === 0) return problem("OCI runtime", "neither crun nor runc is there", "apt-get install crun");
  return ok("OCI runtime", `${runtime.name} (${runtime.reason}); ${there.join(", ")}`);
}

function init(versions: Versions): DoctorCheck {
  const found = inits.find(({ name }) => versions.get(name) !== undefined);
  if (found) return ok("init", versionText(found.name, versions.get(found.name) ?? ""));
  return warning("init", "there is no init program: --init fails", "apt-get install tini");
}

/** The first number with a dot in what a program says. */
function versionText(name: string, said: string): string {
  const version = /\d+\.\d+[\w.~+-]*/.exec(said)?.[0];
  return version === undefined ? name : `${name} ${version}`;
}
