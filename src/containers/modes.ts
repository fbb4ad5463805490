import { EngineError } from "../errors/mod.ts";
import { resolve } from "./refs.ts";
import type { ContainerTable, Row } from "./table.ts";
import { isLive } from "./transition.ts";

/** What NetworkMode says. */
export type NetworkMode =
  | { readonly kind: "host" }
  | { readonly kind: "none" }
  | { readonly kind: "container"; readonly ref: string }
  | { readonly kind: "network"; readonly name: string };

export function networkModeOf(mode: string): NetworkMode {
  if (mode === "host" || mode === "none") return { kind: mode };
  if (mode === "" || mode === "default") return { kind: "network", name: "bridge" };
  const ref = containerIn(mode);
  return ref === undefined ? { kind: "network", name: mode } : { kind: "container", ref };
}

/** The reference in "container:REF". */
export function containerIn(mode: string): string | undefined {
  return mode.startsWith("container:") ? mode.slice("container:".length) : undefined;
}

/** The running container whose namespace is to be joined. Throws "not-found", "conflict" in Docker's words. */
export function joined(table: ContainerTable, ref: string): Row {
  const row = resolve(table, ref);
  if (row.phase === "restarting") {
    throw new EngineError("conflict", `container ${row.id} is restarting, wait until the container is running`);
  }
  if (!isLive(row.phase)) {
    throw new EngineError("conflict", `cannot join network of a non running container: ${row.id}`);
  }
  return row;
}
