import { randomBytes } from "node:crypto";
import type { Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { VolumeCreateBody } from "../wire/mod.ts";
import { checkOptions } from "./mounts/options.ts";
import { requireVolume, setLabels, type VolumeRow } from "./table.ts";

/** What Docker puts on volumes without a name; tools find them by it, and so does `prune` those that a container named. */
const anonymousLabel = "com.docker.volume.anonymous";
const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** A directory is named like the volume (NAME_MAX). */
const longest = 255;

/** The row that a valid request asks for. Throws Docker's words for what is wrong with it. */
export function volumeRow(request: VolumeCreateBody): VolumeRow {
  const unnamed = request.Name === "";
  const name = unnamed ? randomBytes(32).toString("hex") : request.Name;
  if (!unnamed) requireName("create", name);
  const driver = request.Driver === "" ? "local" : request.Driver;
  requireLocal(name, driver);
  checkOptions(name, request.DriverOpts);
  const labels = unnamed ? { ...request.Labels, [anonymousLabel]: "" } : request.Labels;
  return {
    name,
    driver,
    labels,
    anonymous: Object.hasOwn(labels, anonymousLabel),
    created: Date.now(),
    options: request.DriverOpts,
    state: "ready",
    movedFrom: "",
  };
}

/** Sets labels, or takes away those that are null. Throws "not-found". */
export function relabel(tx: Tx, name: string, changes: Readonly<Record<string, string | null>>): VolumeRow {
  const row = requireVolume(tx, name);
  const labels = Object.fromEntries(
    Object.entries({ ...row.labels, ...changes }).filter((pair): pair is [string, string] => pair[1] !== null),
  );
  const changed = { ...row, labels, anonymous: Object.hasOwn(labels, anonymousLabel) };
  setLabels(tx, changed);
  return changed;
}

/** The row once somebody has given it a name, which `prune` then leaves alone. */
export function namedOnPurpose(row: VolumeRow): VolumeRow {
  const { [anonymousLabel]: _, ...labels } = row.labels;
  return { ...row, labels, anonymous: false };
}

/** Throws "invalid" in Docker's words for what cannot be a volume's name. */
export function requireName(what: string, name: string): void {
  if (!pattern.test(name)) {
    throw invalid(
      `${what} ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length < 2) {
    throw invalid(`${what} ${name}: volume name is too short, names should be at least two alphanumeric characters`);
  }
  if (name.length > longest) {
    throw invalid(`${what} ${name.slice(0, 40)}…: volume name has ${name.length} characters, at most ${longest}`);
  }
}

function requireLocal(name: string, driver: string): void {
  if (driver === "local") return;
  const why = `error looking up volume plugin ${driver}: plugin ${JSON.stringify(driver)} not found`;
  throw new EngineError("not-found", `create ${name}: ${why}`);
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}
