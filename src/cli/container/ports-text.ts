import type { PortSummary } from "../../wire/mod.ts";

/** `0.0.0.0:8080->80/tcp, 443/tcp`, with neighbouring ports joined into ranges, as docker does. */
export function portsText(ports: readonly PortSummary[]): string {
  const groups: PortSummary[][] = [];
  for (const port of ports.toSorted(inOrder)) {
    const last = groups.at(-1)?.at(-1);
    if (last && follows(last, port)) groups.at(-1)?.push(port);
    else groups.push([port]);
  }
  return groups.map(groupText).join(", ");
}

function inOrder(a: PortSummary, b: PortSummary): number {
  return (
    a.Type.localeCompare(b.Type) ||
    (a.IP ?? "").localeCompare(b.IP ?? "") ||
    a.PrivatePort - b.PrivatePort ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0)
  );
}

function follows(before: PortSummary, port: PortSummary): boolean {
  if (before.Type !== port.Type || before.IP !== port.IP || port.PrivatePort !== before.PrivatePort + 1) return false;
  return port.PublicPort ? port.PublicPort === (before.PublicPort ?? 0) + 1 : !before.PublicPort;
}

function groupText(group: readonly PortSummary[]): string {
  const [first, last] = [group[0], group.at(-1)];
  if (!first || !last) return "";
  const span = (from: number, to: number) => (from === to ? String(from) : `${from}-${to}`);
  const inside = `${span(first.PrivatePort, last.PrivatePort)}/${first.Type}`;
  if (!first.PublicPort || !last.PublicPort) return inside;
  const ip = first.IP?.includes(":") ? `[${first.IP}]` : (first.IP ?? "");
  return `${ip}:${span(first.PublicPort, last.PublicPort)}->${inside}`;
}
