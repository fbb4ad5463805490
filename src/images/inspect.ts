import type { ImageConfig, ImageRunConfig } from "../oci/mod.ts";
import type { ContainerConfig, ImageInspect } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { requireRow } from "./find.ts";
import { repoNames } from "./list.ts";
import { type ImageRow, type NameRow, namesOf } from "./table.ts";

/** Throws "not-found". */
export function inspectImage({ db }: Context, refOrId: string): ImageInspect {
  return db.read((q) => {
    const row = requireRow(q, refOrId);
    return present(row, namesOf(q, row.id));
  });
}

function present(row: ImageRow, names: readonly NameRow[]): ImageInspect {
  const config = JSON.parse(row.config) as ImageConfig;
  return {
    Id: row.id,
    ...repoNames(names),
    Parent: row.parent ?? "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: config.created ?? "",
    DockerVersion: "",
    Author: config.author ?? "",
    Config: presentRun(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant && { Variant: config.variant }),
    Os: config.os,
    Size: row.size,
    GraphDriver: { Name: "overlay2", Data: row.snapshot ? { Snapshot: row.snapshot } : {} },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: row.tagged === null ? "0001-01-01T00:00:00Z" : new Date(row.tagged).toISOString() },
  };
}

/** With the fields that clients of older API versions expect to be there. */
function presentRun(run: ImageRunConfig): Partial<ContainerConfig> {
  const { ExposedPorts, Healthcheck, ArgsEscaped, StopSignal, Shell } = run;
  return {
    Hostname: "",
    Domainname: "",
    User: run.User ?? "",
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(ExposedPorts && { ExposedPorts }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: run.Env ?? [],
    Cmd: run.Cmd ?? null,
    ...(Healthcheck && { Healthcheck }),
    ...(ArgsEscaped && { ArgsEscaped }),
    Image: "",
    Volumes: run.Volumes ?? null,
    WorkingDir: run.WorkingDir ?? "",
    Entrypoint: run.Entrypoint ?? null,
    OnBuild: run.OnBuild ?? null,
    Labels: run.Labels ?? {},
    ...(StopSignal && { StopSignal }),
    ...(Shell && { Shell }),
  };
}
