import { EngineError } from "../../errors/mod.ts";
import {
  bool,
  choice,
  list,
  listOf,
  optionalText,
  parseBytes,
  parseUlimit,
  text,
  type Values,
  value,
} from "../../flags/mod.ts";
import { cpuFlags } from "../container/flags.ts";
import { pairs, parseExtraHost, splitOnce } from "../container/values.ts";
import type { CliIo } from "../io.ts";
import { attestTexts } from "./attestations.ts";
import { buildPlatform, parseCall, parseEntitlement, refuseAnnotation } from "./build-values.ts";
import { type BuildOutput, parseOutput } from "./output-flag.ts";
import { parseContextFlag, parseSecret, parseSsh } from "./session-flags.ts";

export const buildFlags = {
  ...cpuFlags,
  "add-host": listOf('Add a custom host-to-IP mapping ("host:ip")', { parse: parseExtraHost }),
  allow: listOf("Allow extra privileged entitlement: network.host, which needs no allowing here", {
    placeholder: "ENTITLEMENT",
    parse: parseEntitlement,
  }),
  annotation: listOf("Not implemented by Berth", { placeholder: "KEY=VALUE", parse: refuseAnnotation }),
  attest: list("Say something about the image beside it (sbom or provenance)", {
    placeholder: "type=TYPE[,KEY=VALUE]",
  }),
  "build-arg": list("Set build-time variables", { placeholder: "NAME[=VALUE]" }),
  "build-context": listOf("Additional build contexts: a directory, docker-image://IMAGE, oci-layout://DIR, a URL", {
    placeholder: "NAME=VALUE",
    parse: parseContextFlag,
  }),
  "cache-from": list("Caches to look into as well; images alone: what of the cache may be used", {
    placeholder: "IMAGE|type=registry,ref=NAME|type=local,src=DIR",
  }),
  "cache-to": list("Where the cache is written besides; mode=max for all stages", {
    placeholder: "type=inline|type=registry,ref=NAME|type=local,dest=DIR",
  }),
  call: value("Answer a question about the Dockerfile instead of building it", {
    placeholder: "check|outline|targets[,format=json]",
    parse: parseCall,
    initial: undefined,
  }),
  check: bool("Check the Dockerfile instead of building it; exit status 1 when there is something to say"),
  "cgroup-parent": text('Set the parent cgroup for the "RUN" instructions during build'),
  explain: bool("Say of each step that runs why it was not found in the cache"),
  file: text('Name of the Dockerfile (Default is "PATH/Dockerfile"); - for standard input', { short: "f" }),
  "force-rm": bool("Always remove intermediate containers"),
  iidfile: text("Write the image ID to the file", { placeholder: "FILE" }),
  label: list("Set metadata for an image", { placeholder: "KEY=VALUE" }),
  load: bool("Have the image here whatever the outputs are, which it is without any; short for --output=type=docker"),
  network: text("Set the networking mode for the RUN instructions during build", { initial: "default" }),
  "no-cache": bool("Do not use cache when building the image"),
  "no-cache-filter": listOf("Do not use cache for these stages", {
    placeholder: "STAGE[,STAGE]",
    parse: (given) => given.split(",").filter((one) => one !== ""),
  }),
  "metadata-file": text("Write build result metadata to a file", { placeholder: "FILE" }),
  "on-error": choice("What to do when a RUN step fails: shell opens one where it failed", {
    of: ["", "shell"],
    initial: "",
  }),
  output: listOf(
    "Output destination (type=local|tar|oci|docker,dest=PATH or type=image|registry,name=NAME); any number",
    {
      short: "o",
      placeholder: "type=TYPE[,KEY=VALUE]",
      parse: parseOutput,
    },
  ),
  platform: list("Set platform if server is multi-platform capable", { placeholder: "PLATFORM" }),
  progress: choice("Set type of progress output", { of: ["auto", "plain", "tty", "rawjson"], initial: "auto" }),
  provenance: optionalText("Say what the image was made from (mode=min or max, version=v1 or v0.2, builder-id=URI)"),
  pull: bool("Always attempt to pull a newer version of the image"),
  push: bool("Push the image under its names once it is built; short for --output=type=registry"),
  quiet: bool("Suppress the build output and print image ID on success", { short: "q" }),
  rm: bool("Remove intermediate containers after a successful build", { initial: true }),
  sbom: optionalText("Say which packages are in the image"),
  secret: listOf("Secret to expose to the build (id=ID[,src=FILE|,env=NAME])", { parse: parseSecret }),
  "security-opt": list("Security options"),
  "shm-size": value('Size of "/dev/shm"', { placeholder: "bytes", parse: parseBytes, initial: 0 }),
  ssh: listOf("ssh agent to expose to the build (default or ID[=SOCKET])", { parse: parseSsh }),
  squash: bool("Squash newly built layers into a single new layer"),
  tag: list('Name and optionally a tag in the "name:tag" format', { short: "t" }),
  target: text("Set the target build stage to build."),
  ulimit: listOf("Ulimit options", { placeholder: "NAME=SOFT[:HARD]", parse: parseUlimit }),
};

export type BuildFlags = Values<typeof buildFlags>;

/** Where the result goes besides this engine's images. */
export function outputsOf({ output, push, load }: BuildFlags): readonly BuildOutput[] {
  const pushes = output.some((one) => one.type === "image" && one.push);
  if (push && !pushes) return [...output, { type: "image", names: [], push }];
  return load && output.length > 0 ? [...output, { type: "image", names: [], push: false }] : output;
}

/** What the image is called, by `--tag` and by its outputs. */
export function namesOf({ tag, output }: BuildFlags): string[] {
  return [...new Set([...tag, ...output.flatMap((one) => ("names" in one ? one.names : []))])];
}

/** The query of `POST /build`, but for the Dockerfile's name. */
export function buildQuery(flags: BuildFlags, { env }: CliIo) {
  const uncached = flags["no-cache-filter"].flat();
  if (flags["no-cache"] && uncached.length > 0)
    throw new EngineError("invalid", "--no-cache and --no-cache-filter cannot currently be used together");
  const args = flags["build-arg"].map((one) => {
    const [name, given] = splitOnce(one, "=");
    return [name, given ?? env[name] ?? null] as const;
  });
  const attest = attestTexts(flags);
  return {
    t: namesOf(flags),
    buildargs: JSON.stringify(Object.fromEntries(args)),
    labels: JSON.stringify(pairs(flags.label)),
    attest: attest.length > 0 ? JSON.stringify(attest) : undefined,
    extrahosts: flags["add-host"],
    networkmode: flags.network,
    nocache: flags["no-cache"],
    nocachefilter: uncached.length > 0 ? JSON.stringify(uncached) : undefined,
    platform: buildPlatform(flags.platform),
    pull: flags.pull ? "1" : undefined,
    q: flags.quiet,
    explain: flags.explain || undefined,
    keepfailed: flags["on-error"] === "shell" || undefined,
    rm: flags.rm,
    forcerm: flags["force-rm"] || undefined,
    squash: flags.squash || undefined,
    target: flags.target || undefined,
    ...resources(flags),
  };
}

function resources(flags: BuildFlags) {
  return {
    cgroupparent: flags["cgroup-parent"] || undefined,
    cpuperiod: flags["cpu-period"],
    cpuquota: flags["cpu-quota"],
    cpushares: flags["cpu-shares"],
    cpusetcpus: flags["cpuset-cpus"] || undefined,
    cpusetmems: flags["cpuset-mems"] || undefined,
    memory: flags.memory || undefined,
    memswap: flags["memory-swap"] || undefined,
    shmsize: flags["shm-size"] || undefined,
    securityopt: flags["security-opt"].length > 0 ? JSON.stringify(flags["security-opt"]) : undefined,
    ulimits: flags.ulimit.length > 0 ? JSON.stringify(flags.ulimit) : undefined,
  };
}
