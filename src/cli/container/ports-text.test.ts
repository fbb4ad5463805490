import { expect, test } from "bun:test";
import { portsText } from "./ports-text.ts";

const tcp = (PrivatePort: number, PublicPort?: number, IP?: string) => ({
  PrivatePort,
  Type: "tcp" as const,
  ...(PublicPort !== undefined && { PublicPort }),
  ...(IP !== undefined && { IP }),
});

test.each([
  [[], ""],
  [[tcp(80)], "80/tcp"],
  [[tcp(82), tcp(80), tcp(81), tcp(90)], "80-82/tcp, 90/tcp"],
  [[tcp(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp"],
  [[tcp(80, 80, "0.0.0.0"), tcp(81, 81, "0.0.0.0")], "0.0.0.0:80-81->80-81/tcp"],
  [[tcp(80, 80, "::"), tcp(80, 80, "0.0.0.0")], "0.0.0.0:80->80/tcp, [::]:80->80/tcp"],
  [[tcp(80, 8080, "::"), tcp(443), { ...tcp(53), Type: "udp" as const }], "53/udp, 443/tcp, [::]:8080->80/tcp"],
])("%j is %p", (ports, text) => {
  expect(portsText(ports)).toBe(text);
});
