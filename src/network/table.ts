import type { Migration, Query, Tx } from "../db/mod.ts";
import type { EndpointConfig } from "../wire/mod.ts";
import { lastAddress, type Subnet } from "./address.ts";
import { first6, isSix, last6, type Subnet6 } from "./address6.ts";
import type { Protocol, PublishedPort } from "./ports.ts";
import { legsOf, type NetworkRow } from "./settings.ts";

export const networkMigrations: readonly Migration[] = [
  {
    module: "network",
    version: 1,
    sql: `
      CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL
      ) STRICT;
      CREATE TABLE sandboxes (holder TEXT PRIMARY KEY) STRICT;
      CREATE TABLE endpoints (
        id TEXT PRIMARY KEY,
        network_id TEXT NOT NULL REFERENCES networks(id),
        holder TEXT NOT NULL REFERENCES sandboxes(holder),
        name TEXT NOT NULL,
        interface TEXT NOT NULL,
        veth TEXT NOT NULL,
        address INTEGER NOT NULL,
        mac TEXT NOT NULL,
        config TEXT NOT NULL,
        ready INTEGER NOT NULL DEFAULT 0,
        UNIQUE (network_id, address),
        UNIQUE (network_id, holder),
        UNIQUE (holder, interface)
      ) STRICT;
      CREATE TABLE ports (
        endpoint_id TEXT NOT NULL REFERENCES endpoints(id) ON DELETE CASCADE,
        protocol TEXT NOT NULL,
        host_address TEXT NOT NULL,
        host_port INTEGER NOT NULL,
        container_port INTEGER NOT NULL,
        PRIMARY KEY (protocol, host_port, host_address)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX ports_endpoint ON ports(endpoint_id)`,
  },
  {
    module: "network",
    version: 2,
    sql: `ALTER TABLE endpoints ADD COLUMN resolver TEXT NOT NULL DEFAULT '{"names":[],"links":{},"upstreams":[]}'`,
  },
  {
    module: "network",
    version: 3,
    sql: `ALTER TABLE endpoints ADD COLUMN address6 TEXT;
      CREATE UNIQUE INDEX endpoints_address6 ON endpoints(network_id, address6)`,
  },
  {
    // Endpoints from before there was a resolver: their containers are found by their short id and their aliases, too.
    module: "network",
    version: 4,
    sql: `UPDATE endpoints SET resolver = json_set(resolver, '$.names', json((
        SELECT json_group_array(name) FROM (
          SELECT substr(holder, 1, 12) AS name UNION SELECT value FROM json_each(config, '$.Aliases') WHERE value IS NOT NULL
        )
      )))
      WHERE resolver ->> '$.names' = '[]'`,
  },
  {
    // What `reindexSubnets` fills: the subnets of networks by their place, so that a free one is found without looking at all.
    module: "network",
    version: 5,
    sql: `CREATE TABLE subnets (
        network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
        first TEXT NOT NULL,
        last TEXT NOT NULL,
        PRIMARY KEY (first, network_id)
      ) STRICT, WITHOUT ROWID`,
  },
];

export * from "./settings.ts";

export interface EndpointRow {
  readonly id: string;
  readonly networkId: string;
  readonly holder: string;
  readonly name: string;
  /** Inside ("eth0") and on the host. */
  readonly interface: string;
  readonly veth: string;
  readonly address: number;
  readonly address6?: string;
  readonly mac: string;
  readonly config: EndpointConfig;
  readonly resolver: ResolverSettings;
}

/** What the resolver is to know of an endpoint, besides the container's name. */
export interface ResolverSettings {
  readonly names: readonly string[];
  /** Names that only this container knows, in lower case, and the names that they stand for. */
  readonly links: Readonly<Record<string, string>>;
  /** Asked instead of the host's resolvers, unless there are none. */
  readonly upstreams: readonly string[];
}

export interface PortRow extends PublishedPort {
  readonly endpointId: string;
}

interface StoredEndpoint extends Omit<EndpointRow, "address6" | "config" | "resolver"> {
  readonly address6: string | null;
  readonly config: string;
  readonly resolver: string;
}

interface StoredNetwork {
  readonly body: string;
}

export function networks(q: Query): NetworkRow[] {
  return q.all<StoredNetwork>("SELECT body FROM networks ORDER BY rowid").map(parseNetwork);
}

/** The names of all bridges, without the rest of their networks. */
export function bridgeLinks(q: Query): string[] {
  const sql = "SELECT body ->> '$.bridge.link' AS link FROM networks WHERE link IS NOT NULL ORDER BY rowid";
  return q.all<{ link: string }>(sql).map(({ link }) => link);
}

/** At most two, which is enough to see that a prefix is ambiguous. */
export function networksByPrefix(q: Query, prefix: string): NetworkRow[] {
  const sql = "SELECT body FROM networks WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2";
  return q.all<StoredNetwork>(sql, [prefix]).map(parseNetwork);
}

export function networkByName(q: Query, name: string): NetworkRow | undefined {
  const row = q.get<StoredNetwork>("SELECT body FROM networks WHERE name = ?", [name]);
  return row && parseNetwork(row);
}

export function networkIdByName(q: Query, name: string): string | undefined {
  return q.get<{ id: string }>("SELECT id FROM networks WHERE name = ?", [name])?.id;
}

export function networkById(q: Query, id: string): NetworkRow | undefined {
  const row = q.get<StoredNetwork>("SELECT body FROM networks WHERE id = ?", [id]);
  return row && parseNetwork(row);
}

export function putNetwork(tx: Tx, row: NetworkRow): void {
  const sql = "INSERT INTO networks (id, name, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET body = ?3";
  tx.run(sql, [row.id, row.name, JSON.stringify(row)]);
  indexSubnets(tx, row);
}

/** Makes the index of subnets anew from the networks, since it says nothing of its own. */
export function reindexSubnets(tx: Tx): void {
  for (const row of networks(tx)) indexSubnets(tx, row);
}

/** The network that has a part of the subnet. None overlaps another, so only the last that begins before the subnet's end can. */
export function networkOverlapping(q: Query, subnet: Subnet | Subnet6): NetworkRow | undefined {
  const { family, first, last } = placeOf(subnet);
  const sql = `SELECT n.body, s.last FROM subnets s JOIN networks n ON n.id = s.network_id
    WHERE s.first BETWEEN ?1 AND ?2 ORDER BY s.first DESC LIMIT 1`;
  const found = q.get<StoredNetwork & { last: string }>(sql, [family, last]);
  return found && found.last >= first ? parseNetwork(found) : undefined;
}

function indexSubnets(tx: Tx, row: NetworkRow): void {
  tx.run("DELETE FROM subnets WHERE network_id = ?", [row.id]);
  const legs = legsOf(row);
  for (const subnet of legs ? [legs.subnet, ...(legs.six ? [legs.six.subnet] : [])] : []) {
    const { first, last } = placeOf(subnet);
    tx.run("INSERT INTO subnets (network_id, first, last) VALUES (?, ?, ?)", [row.id, first, last]);
  }
}

/** Texts that sort as the addresses do, those of one kind after `family`. */
function placeOf(subnet: Subnet | Subnet6): { family: string; first: string; last: string } {
  if (!isSix(subnet)) {
    const text = (address: number) => `4:${address.toString(16).padStart(8, "0")}`;
    return { family: "4:", first: text(subnet.base), last: text(lastAddress(subnet)) };
  }
  const text = (address: bigint) => `6:${address.toString(16).padStart(32, "0")}`;
  return { family: "6:", first: text(first6(subnet)), last: text(last6(subnet)) };
}

export function deleteNetwork(tx: Tx, id: string): void {
  tx.run("DELETE FROM networks WHERE id = ?", [id]);
}

export function sandboxes(q: Query): string[] {
  return q.all<{ holder: string }>("SELECT holder FROM sandboxes").map((row) => row.holder);
}

export function hasSandbox(q: Query, holder: string): boolean {
  return q.get("SELECT 1 FROM sandboxes WHERE holder = ?", [holder]) !== undefined;
}

export function insertSandbox(tx: Tx, holder: string): void {
  tx.run("INSERT OR IGNORE INTO sandboxes VALUES (?)", [holder]);
}

export function deleteSandbox(tx: Tx, holder: string): void {
  tx.run("DELETE FROM sandboxes WHERE holder = ?", [holder]);
}

const endpointColumns =
  "id, network_id AS networkId, holder, name, interface, veth, address, address6, mac, config, resolver";

export function endpointsOf(q: Query, holder: string): EndpointRow[] {
  return endpointRows(q, `WHERE holder = ? ORDER BY length(interface), interface`, [holder]);
}

export function endpointsIn(q: Query, networkId: string): EndpointRow[] {
  return endpointRows(q, "WHERE network_id = ? AND ready = 1 ORDER BY address", [networkId]);
}

/** By network; those of one in the order of their addresses. */
export function endpointsByNetwork(q: Query): ReadonlyMap<string, readonly EndpointRow[]> {
  const rows = endpointRows(q, "WHERE ready = 1 ORDER BY network_id, address", []);
  return Map.groupBy(rows, ({ networkId }) => networkId);
}

export function allEndpoints(q: Query): EndpointRow[] {
  return endpointRows(q, "", []);
}

/** Those whose kernel side may be half made, or half gone: the daemon ended in between. */
export function unreadyEndpoints(q: Query): EndpointRow[] {
  return endpointRows(q, "WHERE ready = 0", []);
}

export function networkInUse(q: Query, networkId: string): boolean {
  return q.get("SELECT 1 FROM endpoints WHERE network_id = ? LIMIT 1", [networkId]) !== undefined;
}

export function insertEndpoint(tx: Tx, row: EndpointRow, ports: readonly PublishedPort[]): void {
  tx.run(
    "INSERT INTO endpoints (id, network_id, holder, name, interface, veth, address, address6, mac, config, resolver) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    [
      row.id,
      row.networkId,
      row.holder,
      row.name,
      row.interface,
      row.veth,
      row.address,
      row.address6 ?? null,
      row.mac,
      JSON.stringify(row.config),
      JSON.stringify(row.resolver),
    ],
  );
  insertPorts(tx, row.id, ports);
}

export function insertPorts(tx: Tx, endpointId: string, ports: readonly PublishedPort[]): void {
  const sql = "INSERT INTO ports (endpoint_id, protocol, host_address, host_port, container_port) VALUES (?,?,?,?,?)";
  for (const { protocol, hostAddress, hostPort, containerPort } of ports) {
    tx.run(sql, [endpointId, protocol, hostAddress, hostPort, containerPort]);
  }
}

export function deletePorts(tx: Tx, ports: readonly PublishedPort[]): void {
  const sql = "DELETE FROM ports WHERE protocol = ? AND host_port = ? AND host_address = ?";
  for (const { protocol, hostAddress, hostPort } of ports) tx.run(sql, [protocol, hostPort, hostAddress]);
}

/** All of an endpoint that is being taken down; should the daemon end meanwhile, the next one goes on with that. */
export function withdrawPorts(tx: Tx, endpointId: string): void {
  tx.run("UPDATE endpoints SET ready = 0 WHERE id = ?", [endpointId]);
  tx.run("DELETE FROM ports WHERE endpoint_id = ?", [endpointId]);
}

export function markReady(tx: Tx, id: string): void {
  tx.run("UPDATE endpoints SET ready = 1 WHERE id = ?", [id]);
}

/** For all endpoints of a holder. */
export function renameEndpoints(tx: Tx, holder: string, name: string): void {
  tx.run("UPDATE endpoints SET name = ? WHERE holder = ?", [name, holder]);
}

/** Its ports go with it. */
export function deleteEndpoint(tx: Tx, id: string): void {
  tx.run("DELETE FROM endpoints WHERE id = ?", [id]);
}

const portColumns =
  "endpoint_id AS endpointId, protocol, host_address AS hostAddress, host_port AS hostPort, container_port AS containerPort";

export function portsOf(q: Query, endpointId: string): PortRow[] {
  const sql = `SELECT ${portColumns} FROM ports WHERE endpoint_id = ? ORDER BY container_port, protocol, host_port, host_address`;
  return q.all<PortRow>(sql, [endpointId]);
}

/** With the addresses of the container behind it. */
export function allPorts(q: Query): (PortRow & { readonly address: number; readonly address6: string | null })[] {
  return q.all(
    `SELECT ${portColumns}, e.address, e.address6 FROM ports JOIN endpoints e ON e.id = endpoint_id ORDER BY host_port`,
  );
}

/** True when one of our containers publishes the port on this address, or either of them means all addresses. */
export function portPublished(q: Query, port: { protocol: Protocol; hostAddress: string; hostPort: number }): boolean {
  const sql = "SELECT 1 FROM ports WHERE protocol = ?1 AND host_port = ?2 AND (host_address IN (?3, ?4) OR ?3 = ?4)";
  const any = port.hostAddress.includes(":") ? "::" : "0.0.0.0";
  return q.get(sql, [port.protocol, port.hostPort, port.hostAddress, any]) !== undefined;
}

export function addressTaken(q: Query, networkId: string, address: number): boolean {
  return q.get("SELECT 1 FROM endpoints WHERE network_id = ? AND address = ?", [networkId, address]) !== undefined;
}

export function addressTaken6(q: Query, networkId: string, address: string): boolean {
  return q.get("SELECT 1 FROM endpoints WHERE network_id = ? AND address6 = ?", [networkId, address]) !== undefined;
}

/** The first address at or after `from` that no endpoint has: `from` itself or the end of a run of taken ones. */
export function firstGap(q: Query, networkId: string, from: number): number {
  if (!addressTaken(q, networkId, from)) return from;
  const sql = `SELECT address + 1 AS free FROM endpoints e WHERE network_id = ?1 AND address >= ?2
    AND NOT EXISTS (SELECT 1 FROM endpoints WHERE network_id = ?1 AND address = e.address + 1)
    ORDER BY address LIMIT 1`;
  return q.get<{ free: number }>(sql, [networkId, from])?.free ?? from;
}

function endpointRows(q: Query, where: string, params: readonly string[]): EndpointRow[] {
  const rows = q.all<StoredEndpoint>(`SELECT ${endpointColumns} FROM endpoints ${where}`, params);
  return rows.map(({ address6, config, resolver, ...row }) => ({
    ...row,
    ...(address6 !== null && { address6 }),
    config: JSON.parse(config),
    resolver: JSON.parse(resolver),
  }));
}

function parseNetwork(row: StoredNetwork): NetworkRow {
  return JSON.parse(row.body);
}
