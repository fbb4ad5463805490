import type { PortSummary } from "../../wire/mod.ts";

interface Span {
  readonly ip: string;
  readonly type: string;
  readonly first: number;
  last: number;
}

/**
 * `443/tcp, 0.0.0.0:8080->80/tcp` in docker's own order (docker/cli `formatter.DisplayablePorts`): neighbouring ports are
 * joined into ranges where both sides have the same numbers, and mappings to other numbers come last, one by one.
 */
export function portsText(ports: readonly PortSummary[]): string {
  const open = new Map<string, Span>();
  const closed: string[] = [];
  const mapped: string[] = [];
  for (const { IP: ip = "", PrivatePort: port, PublicPort, Type: type } of ports.toSorted(inOrder)) {
    if (ip !== "" && PublicPort !== port) {
      mapped.push(`${joined(ip, String(PublicPort ?? 0))}->${port}/${type}`);
      continue;
    }
    const key = `${ip}/${type}`;
    const span = open.get(key);
    if (span?.last === port - 1) span.last = port;
    else {
      if (span) closed.push(spanText(span));
      open.set(key, { ip, type, first: port, last: port });
    }
  }
  return [...closed, ...[...open.values()].map(spanText), ...mapped].join(", ");
}

function inOrder(a: PortSummary, b: PortSummary): number {
  return (
    a.PrivatePort - b.PrivatePort ||
    compare(a.IP ?? "", b.IP ?? "") ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
    compare(a.Type, b.Type)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function spanText({ ip, type, first, last }: Span): string {
  const numbers = first === last ? String(first) : `${first}-${last}`;
  return ip === "" ? `${numbers}/${type}` : `${joined(ip, numbers)}->${numbers}/${type}`;
}

function joined(ip: string, port: string): string {
  return `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}
