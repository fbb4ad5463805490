import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "./paths.ts";
import type { RuntimeSpec } from "./runtime.ts";

const annotation = "run.oci.seccomp_bpf_data";
/** Profiles differ by capabilities and --security-opt; a host uses a handful. */
const mostKept = 32;

/**
 * Compiled seccomp filters. libseccomp takes about 20 ms for Docker's profile, more than all the rest of `crun create`; but crun leaves
 * what it compiled in the container's state and takes it back by an annotation (crun(1)), so each profile is compiled once.
 */
export class Filters {
  readonly #compiled = new Map<string, string>();

  /** The spec with its filter, when a container with the same profile was made before. */
  apply(spec: RuntimeSpec): RuntimeSpec {
    const filter = this.#compiled.get(keyOf(spec));
    if (filter === undefined) return spec;
    return { ...spec, annotations: { ...spec.annotations, [annotation]: filter } };
  }

  /** Takes over what crun compiled for a container that it has just created. */
  learn(spec: RuntimeSpec, at: { paths: Pick<Paths, "state">; id: string }): void {
    const key = keyOf(spec);
    if (key === "" || this.#compiled.has(key)) return;
    try {
      const bytes = readFileSync(join(at.paths.state, at.id, "seccomp.bpf"));
      if (bytes.length > 0) this.#compiled.set(key, bytes.toString("base64"));
    } catch {
      return; // another version of crun may keep it elsewhere: then every container compiles its own
    }
    const oldest = this.#compiled.keys().next().value;
    if (this.#compiled.size > mostKept && oldest !== undefined) this.#compiled.delete(oldest);
  }
}

/** Empty when nothing is filtered, or when the filter is the container's own. */
function keyOf(spec: RuntimeSpec): string {
  const { seccomp } = spec.linux;
  return seccomp === undefined || spec.annotations?.[annotation] !== undefined ? "" : JSON.stringify(seccomp);
}
