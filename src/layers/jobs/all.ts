import type { AnyJob } from "../../host/mod.ts";
import { extractJob } from "../archive/extract.ts";
import { packPathJob } from "../archive/pack-path.ts";
import { statPathJob } from "../archive/stat-path.ts";
import { listChanges } from "./changes.ts";
import { inheritAttributes } from "./inherit.ts";
import { packDirectory } from "./pack.ts";
import { unpackLayer } from "./unpack.ts";
import { verifyLayer } from "./verify.ts";

/** For src/worker.ts. */
export const layersJobs: readonly AnyJob[] = [
  ...[extractJob, packPathJob, statPathJob],
  ...[inheritAttributes, listChanges, packDirectory, unpackLayer, verifyLayer],
];
