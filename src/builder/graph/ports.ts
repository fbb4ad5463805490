import { isIP } from "node:net";
import { spend } from "../dockerfile/budget.ts";

export interface PortSpec {
  /** Keys of ExposedPorts. */
  ports(): readonly string[];
  /** The protocol is not in small letters. */
  readonly odd: boolean;
  /** An address or a port of the host stands in front, which means nothing here. */
  readonly mapped: boolean;
}

/** `80`, `80/udp`, `8000-8010/tcp`. Throws an Error in BuildKit's words (`convert_expose.go`). */
export function portSpec(word: string): PortSpec {
  const parts = word.split(":");
  const [container = "", host = "", ...address] = parts.reverse();
  const { range, proto } = protocolOf(container, word);
  const ip = address
    .reverse()
    .join(":")
    .replace(/^\[(.*)\]$/, "$1");
  if (ip !== "" && isIP(ip) === 0) throw new Error(`invalid IP address: ${ip}`);
  const [first, last] = portRange(range, "containerPort");
  if (host !== "") {
    const [from, to] = portRange(host, "hostPort");
    if (to - from !== last - first && last !== first) {
      throw new Error(`invalid ranges specified for container and host Ports: ${range} and ${host}`);
    }
  }
  const lower = proto.toLowerCase();
  const ports = () => {
    spend(30 * (last - first + 1));
    return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${lower}`);
  };
  return { ports, odd: proto !== lower, mapped: ip !== "" || host !== "" };
}

function protocolOf(container: string, word: string): { range: string; proto: string } {
  const at = container.indexOf("/");
  const range = at < 0 ? container : container.slice(0, at);
  const proto = (at < 0 ? "" : container.slice(at + 1)) || "tcp";
  const invalid = (problem: string) => new Error(`invalid port: ${JSON.stringify(word)}: ${problem}`);
  if (range === "") throw invalid("no port specified");
  if (!["tcp", "udp", "sctp"].includes(proto.toLowerCase())) throw invalid(`invalid proto: ${proto}`);
  return { range, proto };
}

function portRange(text: string, what: "containerPort" | "hostPort"): [number, number] {
  const match = /^\+?(\d{1,9})(?:-\+?(\d{1,9}))?$/.exec(text);
  const first = Number(match?.[1] ?? -1);
  const last = Number(match?.[2] ?? first);
  if (!match || first > 65535 || last > 65535 || last < first) throw new Error(`invalid ${what}: ${text}`);
  return [first, last];
}
