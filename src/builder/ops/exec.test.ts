import { expect, test } from "bun:test";
import { hostsText, resolvText } from "./exec-network.ts";
import { environment } from "./exec-spec.ts";

test("the environment: the image's and arguments, proxies below them, PATH and HOME in any case", () => {
  const op = { env: ["A=1", "A=2", "HTTP_PROXY=own"], hiddenEnv: ["HTTP_PROXY=hidden", "NO_PROXY=x=y"] };
  expect(environment(op, { home: "/h" })).toEqual([
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HTTP_PROXY=own",
    "NO_PROXY=x=y",
    "A=2",
    "HOME=/h",
  ]);
  expect(environment({ env: ["PATH=/p", "HOME=/q"], hiddenEnv: [] }, { home: "/h" })).toEqual(["PATH=/p", "HOME=/q"]);
});

test("/etc/hosts names extra hosts and the step itself", () => {
  const text = hostsText({ hostname: "me", address: "10.0.0.2", extraHosts: ["a:10.1.2.3", "b:[::1]", "c=fe80::1"] });
  expect(text).toContain("127.0.0.1\tlocalhost\n");
  for (const line of ["10.1.2.3\ta", "::1\tb", "fe80::1\tc", "10.0.0.2\tme"]) expect(text.split("\n")).toContain(line);
});

test("/etc/resolv.conf: no server on loopback, unless the network is the host's; given ones win", () => {
  const host = "# c\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a b\noptions edns0\n";
  expect(resolvText(host, { dns: [], isHost: false })).toBe("nameserver 10.0.0.1\nsearch a b\noptions edns0\n");
  expect(resolvText(host, { dns: [], isHost: true })).toBe(host);
  expect(resolvText(host, { dns: ["9.9.9.9"], isHost: true })).toBe("nameserver 9.9.9.9\nsearch a b\noptions edns0\n");
  expect(resolvText("nameserver 127.0.0.1\nnameserver x\n", { dns: [], isHost: false })).toContain(
    "nameserver 8.8.8.8\n",
  );
});
