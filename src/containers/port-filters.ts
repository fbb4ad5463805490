import { EngineError } from "../errors/mod.ts";
import type { Filters, PortSummary } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { portSummaries } from "./endpoints.ts";
import type { Row } from "./table.ts";

/** `publish` is about ports of the host, `expose` about the container's; of both, one is enough (moby `daemon/list.go`). */
const sides = { publish: "PublicPort", expose: "PrivatePort" } as const satisfies Record<string, keyof PortSummary>;
type PortFilter = keyof typeof sides;

export function isPortFilter(key: string): key is PortFilter {
  return Object.hasOwn(sides, key);
}

/** What PORTS shows of a container decides. Throws "invalid" in Docker's words for what is no port. */
export function portTest(ctx: Context, filter: Filters): (row: Row) => boolean {
  const wanted = (["publish", "expose"] as const).flatMap((key) =>
    (filter.get(key) ?? []).map((value) => ({ side: sides[key], ...portsIn(key, value) })),
  );
  if (wanted.length === 0) return () => true;
  return (row) =>
    portSummaries(ctx, row).some((port) =>
      wanted.some(({ side, from, to, proto }) => {
        const number = port[side] ?? 0;
        return port.Type === proto && from <= number && number <= to;
      }),
    );
}

interface Ports {
  readonly from: number;
  readonly to: number;
  readonly proto: string;
}

/** `80`, `80/udp`, `8000-8010/tcp`. */
function portsIn(key: PortFilter, value: string): Ports {
  if (value.includes(":")) throw new EngineError("invalid", `filter for '${key}' should not contain ':': ${value}`);
  const [numbers = "", proto = ""] = value.split("/");
  const [first = "", last = first] = split(numbers);
  const [from, to] = [portNumber(first, { key, value }), portNumber(last, { key, value })];
  if (to < from) throw bad({ key, value }, `Invalid range specified for the Port: ${numbers}`);
  return { from, to, proto: proto.toLowerCase() || "tcp" };
}

function split(numbers: string): string[] {
  const at = numbers.indexOf("-");
  return at < 0 ? [numbers] : [numbers.slice(0, at), numbers.slice(at + 1)];
}

interface Given {
  readonly key: PortFilter;
  readonly value: string;
}

function portNumber(text: string, given: Given): number {
  const parsing = `strconv.ParseUint: parsing ${JSON.stringify(text)}`;
  if (!/^\d+$/.test(text)) throw bad(given, `${parsing}: invalid syntax`);
  if (Number(text) > 65535) throw bad(given, `${parsing}: value out of range`);
  return Number(text);
}

function bad({ key, value }: Given, why: string): EngineError {
  return new EngineError("invalid", `error while looking up for ${key} ${value}: ${why}`);
}
