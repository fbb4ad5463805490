import { KeyedLock } from "../async/mod.ts";
import type { Workers } from "../host/mod.ts";
import { formatAddress } from "./address.ts";
import { AddressPool } from "./address-pool.ts";
import { connect } from "./connect.ts";
import { type Context, kernelNames, netnsDirectory, netnsPath, tablePrefix } from "./context.ts";
import { createNetwork, removeNetwork } from "./create.ts";
import { checkConfig, settleDefaults } from "./defaults.ts";
import { closeSandbox, disconnect, openSandbox } from "./disconnect.ts";
import { Names, resolverAddress, resolvesNames } from "./dns/names.ts";
import { checkEndpoint } from "./endpoint.ts";
import { portWarnings } from "./firewall/published.ts";
import { FirewallWatch } from "./firewall/watch.ts";
import { HostPorts } from "./host-ports.ts";
import { findNetwork, inspectNetwork, toEndpoint } from "./inspect.ts";
import { listNetworks } from "./list.ts";
import { publishPorts, unpublishPorts } from "./live-ports.ts";
import { Nat } from "./nat.ts";
import type { Networks } from "./network.ts";
import { defaultPools, Subnets } from "./pools.ts";
import { pruneNetworks } from "./prune.ts";
import { recover, shutdown } from "./recover.ts";
import { rename } from "./rename.ts";
import { networkReport } from "./report.ts";
import { Spare } from "./spare.ts";

import {
  endpointsIn,
  endpointsOf,
  networkById,
  networkByName,
  networkIdByName,
  portPublished,
  reindexSubnets,
} from "./table.ts";

export interface NetworksOptions
  extends Omit<Context, "addresses" | "subnets" | "hostPorts" | "nat" | "spare" | "names" | "locks"> {
  /** For the resolver, which keeps one of them: at best of no lower priority than this thread. */
  readonly threads: Workers;
}

/**
 * Opens the networks of one daemon: their rows are there afterwards, the kernel follows with `recover`, which must run
 * once before anything is connected. Throws "invalid" for a bad configuration, "unavailable" without ip(8).
 */
export async function openNetworks(options: NetworksOptions): Promise<Networks> {
  checkConfig(options.config);
  const { db, host, log, config } = options;
  const locks = new KeyedLock();
  const context: Context = {
    ...options,
    addresses: new AddressPool(),
    subnets: new Subnets(config.pools ?? defaultPools),
    hostPorts: new HostPorts(host.net, (port) => db.read((q) => portPublished(q, port))),
    nat: new Nat({ db, host, log, tag: config.tag, locks }),
    spare: new Spare({ net: host.net, directory: netnsDirectory(config), log }),
    names: new Names({
      ...{ net: host.net, processes: host.processes, threads: options.threads, log },
      namespace: `${netnsDirectory(config)}/+names`,
      namespaceOf: (holder) => netnsPath(config, holder),
      linkPrefix: `${kernelNames(config.tag).vethPrefix}n`,
      resolvConf: config.resolvConf ?? "/etc/resolv.conf",
    }),
    locks,
  };
  db.write(reindexSubnets);
  await settleDefaults(context);
  const watch = new FirewallWatch({ net: host.net, processes: host.processes, log, own: tablePrefix });
  const known = (idOrName: string) => db.read((q) => networkById(q, idOrName) ?? networkByName(q, idOrName));
  return {
    create: (body) => createNetwork(context, body),
    get: (idOrName) =>
      db.read((q) => {
        const network = findNetwork(q, idOrName);
        return inspectNetwork(network, endpointsIn(q, network.id));
      }),
    idOf: (name) => db.read((q) => networkIdByName(q, name)),
    list: (filter) => db.read((q) => listNetworks(q, filter)),
    prune: (filter) => pruneNetworks(context, filter),
    remove: (idOrName) => removeNetwork(context, idOrName),
    openSandbox: (holder, owner) => openSandbox(context, holder, owner),
    closeSandbox: (holder) => closeSandbox(context, holder),
    check: (idOrName, config) => db.read((q) => checkEndpoint(findNetwork(q, idOrName), config)),
    connect: (idOrName, request) => connect(context, idOrName, request),
    disconnect: (idOrName, holder) => disconnect(context, idOrName, holder),
    publish: (holder, ports) => publishPorts(context, holder, ports),
    unpublish: (holder, ports) => unpublishPorts(context, holder, ports),
    resolver: (idOrName) => {
      const network = known(idOrName);
      return network && resolvesNames(network) ? resolverAddress : undefined;
    },
    hostAddress: (idOrName) => {
      const { bridge, internal = true } = known(idOrName) ?? {};
      return bridge?.gateway !== undefined && !internal ? formatAddress(bridge.gateway) : undefined;
    },
    portWarnings: (network, ports) => portWarnings(context, watch, { network, ports }),
    report: () => networkReport(context, watch),
    rename: (holder, name) => rename(context, holder, name),
    endpoints: (holder) => db.read((q) => endpointsOf(q, holder).map((row) => toEndpoint(q, row))),
    recover: (live) => recover(context, live),
    shutdown: () => shutdown(context),
  };
}
