import { describe, expect, test } from "bun:test";
import { PortError, type PortGroup, type PortRequest } from "../host/mod.ts";
import { HostPorts } from "./host-ports.ts";
import { OwnPorts } from "./own-ports.ts";
import type { PortWish } from "./ports.ts";

/** A kernel whose sockets are the words in `bound`, and that refuses as `refuse` says. */
function kernel(refuse: (request: PortRequest) => string | undefined = () => undefined) {
  const bound = new Set<string>();
  let next = 40000;
  const portGroup = (): PortGroup => {
    const own = new Set<string>();
    const word = ({ protocol, address, port }: PortRequest) => `${protocol} ${address}:${port}`;
    return {
      reserve(request) {
        const wanted = { ...request, port: request.port === 0 ? next++ : request.port };
        const code = refuse(wanted) ?? (bound.has(word(wanted)) ? "EADDRINUSE" : undefined);
        if (code !== undefined) throw new PortError(code);
        bound.add(word(wanted));
        own.add(word(wanted));
        return wanted.port;
      },
      release(requests) {
        for (const request of requests) {
          if (own.delete(word(request))) bound.delete(word(request));
        }
      },
      [Symbol.dispose]() {
        for (const one of own) bound.delete(one);
      },
    };
  };
  return { bound, ports: new HostPorts({ portGroup }, () => false) };
}

const wish = (first: number, more: Partial<PortWish> = {}): PortWish => ({
  protocol: "tcp",
  containerPort: 80,
  hostAddress: "0.0.0.0",
  first,
  last: first,
  ...more,
});

describe("host ports", () => {
  test("are all reserved or none, and released together or one by one", async () => {
    const { ports, bound } = kernel();
    const made = await ports.reserve("a", [wish(80), wish(90, { also: "::" })]);
    expect([...bound]).toEqual(["tcp 0.0.0.0:80", "tcp 0.0.0.0:90", "tcp :::90"]);
    expect(ports.reserve("b", [wish(70), wish(80)])).rejects.toThrow(
      "Bind for 0.0.0.0:80 failed: port is already allocated",
    );
    expect(ports.reserve("b", [wish(70), wish(90, { hostAddress: "::1" })])).rejects.toThrow(
      "Bind for [::1]:90 failed",
    );
    await Promise.resolve();
    expect(bound.has("tcp 0.0.0.0:70")).toBe(false);
    ports.release("a", made.slice(0, 1));
    expect([...bound]).toEqual(["tcp 0.0.0.0:90", "tcp :::90"]);
    ports.release("a");
    ports.release("a");
    expect(bound.size).toBe(0);
    await ports.reserve("b", [wish(80)]);
  });

  test("that a program of the host has are told apart from our own", async () => {
    const { ports } = kernel(({ port }) => (port === 80 ? "EADDRINUSE" : undefined));
    const text = "failed to bind port 0.0.0.0:80/tcp: listen tcp4 0.0.0.0:80: bind: address already in use";
    expect(ports.reserve("a", [wish(80)])).rejects.toThrow(text);
  });

  test("of a range are the one from before, else the first that is free", async () => {
    const { ports } = kernel();
    const range = { last: 8010, before: 8005 };
    const port = async (id: string) => (await ports.reserve(id, [wish(8000, range)]))[0]?.hostPort;
    expect([await port("a"), await port("b"), await port("c")]).toEqual([8005, 8000, 8001]);
  });

  test("that the kernel chose are chosen again when the other kind of address has them", async () => {
    const { ports } = kernel(({ address, port }) => (address === "::" && port < 40003 ? "EADDRINUSE" : undefined));
    const made = await ports.reserve("a", [wish(0, { also: "::" })]);
    expect(made.map(({ hostAddress, hostPort }) => `${hostAddress} ${hostPort}`)).toEqual([
      "0.0.0.0 40003",
      ":: 40003",
    ]);
  });

  test("of SCTP are kept apart without a socket where the kernel has none", async () => {
    const { ports, bound } = kernel(({ protocol }) => (protocol === "sctp" ? "EPROTONOSUPPORT" : undefined));
    const sctp = { protocol: "sctp" } as const;
    await ports.reserve("a", [wish(9999, sctp)]);
    expect(ports.reserve("b", [wish(9999, { ...sctp, hostAddress: "127.0.0.1" })])).rejects.toThrow(
      "already allocated",
    );
    await ports.reserve("b", [wish(9999)]);
    const [chosen] = await ports.reserve("b", [wish(0, sctp)]);
    expect(chosen?.hostPort).toBeGreaterThanOrEqual(32768);
    ports.release("a");
    await ports.reserve("c", [wish(9999, sctp)]);
    expect([...bound]).toEqual(["tcp 0.0.0.0:9999"]);
  });
});

test("our own ports know which addresses stand for others", () => {
  const own = new OwnPorts();
  const at = (hostAddress: string) => ({ protocol: "tcp", hostAddress, hostPort: 80 }) as const;
  const clashes = () => ["0.0.0.0", "10.0.0.1", "::", "fd00::1"].map((address) => own.conflicts(at(address)));
  own.add(at("10.0.0.2"));
  expect(clashes()).toEqual([true, false, false, false]);
  own.add(at("::"));
  expect(clashes()).toEqual([true, false, true, true]);
  own.delete(at("::"));
  own.delete(at("10.0.0.2"));
  expect(clashes()).toEqual([false, false, false, false]);
  expect(own.conflicts({ ...at("0.0.0.0"), protocol: "udp" })).toBe(false);
});
