/** `80`, `80/udp`, `8000-8010/tcp` as the keys of ExposedPorts. Throws an Error in docker's words (go-connections `nat.ParsePortSpecs`). */
export function exposedPorts(word: string): string[] {
  const [ports = "", protocol = "tcp", ...more] = word.split("/");
  const proto = protocol.toLowerCase();
  if (more.length > 0 || !["tcp", "udp", "sctp"].includes(proto)) throw new Error(`invalid proto: ${protocol}`);
  const container = ports.slice(ports.lastIndexOf(":") + 1);
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(container);
  const first = Number(match?.[1] ?? -1);
  const last = Number(match?.[2] ?? first);
  if (!match || last > 65535 || last < first) throw new Error(`invalid containerPort: ${container}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${proto}`);
}
