import { EngineError } from "../errors/mod.ts";
import type { EndpointConfig } from "../wire/mod.ts";
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

/** The networks that a container is to be in, the one of its network mode first, with what was asked for each. */
export function wantedNetworks(row: Pick<Row, "hostConfig" | "endpoints">): ReadonlyMap<string, EndpointConfig> {
  const mode = networkModeOf(row.hostConfig.NetworkMode);
  if (mode.kind !== "network") return new Map();
  const all = Object.entries(row.endpoints);
  return new Map([...all.filter(([name]) => name === mode.name), ...all.filter(([name]) => name !== mode.name)]);
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
