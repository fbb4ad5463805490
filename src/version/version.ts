import manifest from "../../package.json" with { type: "json" };

/** Berth's own version, from package.json. */
export const version: string = manifest.version;

/** What it was built from; set when dist/berth is compiled, a run from the sources has none. */
export const commit: string = process.env["BERTH_COMMIT"] ?? "source";

export function versionText(): string {
  return `Berth version ${version}, build ${commit}`;
}
