import type { AnyCommand, Group } from "./command.ts";
import { attach, start } from "./container/attach.ts";
import { commit } from "./container/commit.ts";
import * as control from "./container/control.ts";
import { cp } from "./container/cp/cp.ts";
import { create } from "./container/create.ts";
import { exec } from "./container/exec.ts";
import * as container from "./container/inspect.ts";
import { ls as containerLs } from "./container/list.ts";
import { logs } from "./container/logs.ts";
import { port } from "./container/port.ts";
import { prune as containerPrune } from "./container/prune.ts";
import { run } from "./container/run.ts";
import { stats } from "./container/stats/stats.ts";
import { update } from "./container/update.ts";
import { aliased, group, named } from "./group.ts";
import { attestations } from "./image/attestations.ts";
import { build } from "./image/build.ts";
import { builderDu, builderPrune } from "./image/builder.ts";
import { history, ls as imageLs } from "./image/list.ts";
import * as image from "./image/manage.ts";
import * as transfer from "./image/transfer.ts";
import { connect, disconnect, create as networkCreate } from "./network/create.ts";
import * as network from "./network/manage.ts";
import { completionCommands } from "./system/completion.ts";
import { df } from "./system/df.ts";
import { doctor } from "./system/doctor.ts";
import { events } from "./system/events.ts";
import { info } from "./system/info.ts";
import { inspect } from "./system/inspect.ts";
import { prune as systemPrune } from "./system/prune.ts";
import { daemonHelp, registryHelp } from "./system/roles.ts";
import { version } from "./system/version.ts";
import * as volumeMove from "./volume/move.ts";
import * as volumeUpdate from "./volume/update.ts";
import * as volume from "./volume/volume.ts";

/** Every command, under the names that docker gives them. */
const onContainers: readonly AnyCommand[] = [
  ...[run, exec, create, start, control.stop, control.restart, control.kill, control.pause, control.unpause],
  ...[attach, logs, control.wait, container.top, port, container.diff, commit, container.exportContainer],
  ...[control.rename, cp, stats, update],
];

const onImages: readonly AnyCommand[] = [
  ...[build, transfer.pull, transfer.push, transfer.load, transfer.save, transfer.importImage, image.tag, history],
];

const groups: readonly Group[] = [
  group("builder", "Manage builds", [build, builderDu, builderPrune]),
  group("container", "Manage containers", [
    ...onContainers,
    container.inspect,
    containerPrune,
    aliased(control.rm, "remove"),
    aliased(containerLs, "list", "ps"),
  ]),
  group("image", "Manage images", [
    ...onImages,
    attestations,
    image.inspect,
    image.prune,
    aliased(imageLs, "list"),
    aliased(image.rm, "remove"),
  ]),
  group("network", "Manage networks", [
    ...[networkCreate, connect, disconnect, network.inspect, network.prune],
    aliased(network.ls, "list"),
    aliased(network.rm, "remove"),
  ]),
  group("registry", "Store images for others to pull", [registryHelp]),
  group("system", "Manage the engine", [df, doctor, events, info, systemPrune]),
  group("volume", "Manage volumes", [
    ...[volume.create, volume.inspect, volume.prune],
    ...[volumeMove.clone, volumeMove.exportVolume, volumeMove.importVolume, volumeMove.rename],
    ...[volumeUpdate.resize, volumeUpdate.update],
    aliased(volume.ls, "list"),
    aliased(volume.rm, "remove"),
  ]),
];

export const root: Group = group("berth", "A container engine: builds, runs, ships and stores containers", [
  ...onContainers,
  control.rm,
  named(containerLs, "ps"),
  ...onImages,
  named(imageLs, "images"),
  named(image.rm, "rmi"),
  ...[doctor, events, info, inspect, version, daemonHelp],
  ...groups,
  ...completionCommands(() => root),
]);
