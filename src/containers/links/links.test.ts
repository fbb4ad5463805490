import { describe, expect, test } from "bun:test";
import { linkVariables } from "./environment.ts";
import { parseLink } from "./parse.ts";

describe("a link as it is written", () => {
  test("a container, an alias, and what inspect shows", () => {
    expect(parseLink("db")).toEqual({ target: "db", alias: "db" });
    expect(parseLink("db:store")).toEqual({ target: "db", alias: "store" });
    expect(parseLink("/db:/web/store")).toEqual({ target: "db", alias: "store" });
    expect(parseLink("/db")).toEqual({ target: "db", alias: "db" });
  });

  test.each(["a:b:c", ":b", "a:", "/:x", "a:b c", "a:b\nc", "a:..", "a:b/c", "a:#"])("%j is none", (text) => {
    expect(() => parseLink(text)).toThrow(`bad format for links: ${text}`);
  });

  test("nothing is none", () => expect(() => parseLink("")).toThrow("empty string specified for links"));
});

/** As dockerd 20.10 has them, asked. */
describe("variables of a link", () => {
  const variables = (ports: readonly string[], env: readonly string[] = []) =>
    linkVariables({
      ...{ alias: "my-db", owner: "web", address: "10.0.0.2" },
      config: { Env: env, ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])) },
    });

  test("one port", () => {
    expect(variables(["80/tcp"], ["A=b c", "HOME=/x", "PATH=/bin", "BAD", "E="])).toEqual([
      "MY_DB_PORT=tcp://10.0.0.2:80",
      "MY_DB_PORT_80_TCP=tcp://10.0.0.2:80",
      "MY_DB_PORT_80_TCP_ADDR=10.0.0.2",
      "MY_DB_PORT_80_TCP_PORT=80",
      "MY_DB_PORT_80_TCP_PROTO=tcp",
      "MY_DB_NAME=/web/my-db",
      "MY_DB_ENV_A=b c",
      "MY_DB_ENV_E=",
    ]);
  });

  test("the lowest port is the default, TCP before UDP; without ports there is only a name", () => {
    expect(variables(["90/tcp", "53/udp", "53/tcp"])[0]).toBe("MY_DB_PORT=tcp://10.0.0.2:53");
    expect(variables([])).toEqual(["MY_DB_NAME=/web/my-db"]);
  });

  test("three ports in a row have a start and an end, two do not", () => {
    const found = variables(["7000/tcp", "7001/tcp", "7002/tcp", "9000/tcp", "9001/tcp"]);
    expect(found.filter((one) => /START|END/.test(one))).toEqual([
      "MY_DB_PORT_7000_TCP_START=tcp://10.0.0.2:7000",
      "MY_DB_PORT_7000_TCP_PORT_START=7000",
      "MY_DB_PORT_7000_TCP_END=tcp://10.0.0.2:7002",
      "MY_DB_PORT_7000_TCP_PORT_END=7002",
    ]);
  });
});
