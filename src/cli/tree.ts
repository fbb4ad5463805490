import { type AnyCommand, aliased, type Group, group, named } from "./command.ts";
import * as control from "./container/control.ts";
import { ls as containerLs } from "./container/list.ts";
import { create, run } from "./container/run.ts";
import * as streaming from "./container/streaming.ts";
import { build, builderPrune } from "./image/build.ts";
import * as images from "./image/manage.ts";
import * as transfer from "./image/transfer.ts";
import * as networks from "./network/network.ts";
import { completionCommands } from "./system/completion.ts";
import { daemonHelp, registryHelp } from "./system/roles.ts";
import * as system from "./system/system.ts";
import * as volumes from "./volume/volume.ts";

/** Every command, under the names that docker gives them. */
const everyday: readonly AnyCommand[] = [
  ...[run, create, streaming.start, control.stop, control.restart, control.kill, control.pause, control.unpause],
  ...[streaming.exec, streaming.attach, streaming.logs, streaming.wait, control.top, control.port, control.diff],
  ...[control.commit, streaming.exportContainer, control.rename, control.update, control.rm],
];

const container = group("container", "Manage containers", [
  ...everyday.filter((one) => one !== control.rm),
  control.inspect,
  control.prune,
  aliased(control.rm, "remove"),
  aliased(containerLs, "list", "ps"),
]);

const image = group("image", "Manage images", [
  ...[build, transfer.pull, transfer.push, transfer.load, transfer.save, transfer.importImage],
  ...[images.tag, images.inspect, images.history, images.prune],
  aliased(images.ls, "list"),
  aliased(images.rm, "remove"),
]);

const network = group("network", "Manage networks", [
  ...[networks.create, networks.connect, networks.disconnect, networks.inspect, networks.prune],
  aliased(networks.ls, "list"),
  aliased(networks.rm, "remove"),
]);

const volume = group("volume", "Manage volumes", [
  ...[volumes.create, volumes.inspect, volumes.prune],
  aliased(volumes.ls, "list"),
  aliased(volumes.rm, "remove"),
]);

export const root: Group = group("berth", "A container engine: builds, runs, ships and stores containers", [
  ...everyday,
  named(containerLs, "ps"),
  named(images.ls, "images"),
  named(images.rm, "rmi"),
  ...[
    build,
    transfer.pull,
    transfer.push,
    transfer.load,
    transfer.save,
    transfer.importImage,
    images.tag,
    images.history,
  ],
  ...[system.inspect, system.events, system.info, system.version],
  daemonHelp,
  container,
  image,
  network,
  volume,
  group("builder", "Manage builds", [builderPrune, build]),
  group("system", "Manage the engine", [system.events, system.info]),
  group("registry", "Store images for others to pull", [registryHelp]),
  ...completionCommands(() => root),
]);
