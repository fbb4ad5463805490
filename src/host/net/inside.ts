import { cc, dlopen, ptr } from "bun:ffi";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { cString } from "../libc.ts";

/**
 * Steps that a thread takes in another network namespace, in C so that nothing can happen in between: a thread inherits
 * the namespace of the one that starts it, and JavaScriptCore starts collector and compiler threads whenever it likes.
 * Done as single calls from JavaScript, one in some hundred left such a thread behind, which kept the namespace and its
 * veth alive for as long as the daemon (seen with Bun 1.4.5). TinyCC inside Bun compiles this in 5 ms.
 *
 * It gets the C library's functions as addresses, because linking to them by name needs files of libc6-dev.
 * Both answer 0 or a descriptor, or -errno. A thread that cannot come back would do all that follows in the wrong
 * network: the process ends instead, which containers survive.
 */
const functions = [
  "open",
  "write",
  "close",
  "socket",
  "unshare",
  "setns",
  "mount",
  "abort",
  "__errno_location",
] as const;

const source = `
static struct {
  int (*open)(const char *path, int flags, ...);
  long (*write)(int fd, const void *bytes, unsigned long count);
  int (*close)(int fd);
  int (*socket)(int domain, int type, int protocol);
  int (*unshare)(int flags);
  int (*setns)(int fd, int type);
  int (*mount)(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
  void (*abort)(void);
  int *(*errno_location)(void);
} libc;

void use_libc(const unsigned long *addresses) {
  for (int i = 0; i < ${functions.length}; i++) ((unsigned long *)&libc)[i] = addresses[i];
}

enum { O_WRONLY = 1, O_CLOEXEC = 02000000, CLONE_NEWNET = 0x40000000, MS_BIND = 4096, ENOENT = 2 };
static const char here[] = "/proc/thread-self/ns/net";

static int failed(void) { return -*libc.errno_location(); }

static int back(int own, int answer) {
  if (libc.setns(own, CLONE_NEWNET) < 0) libc.abort();
  libc.close(own);
  return answer;
}

/* IPv6 off for interfaces to come; no such file on a kernel without IPv6. */
static int without_ipv6(void) {
  int fd = libc.open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed() == -ENOENT ? 0 : failed();
  int answer = libc.write(fd, "1", 1) == 1 ? 0 : failed();
  libc.close(fd);
  return answer;
}

int create_namespace(const char *path) {
  int own = libc.open(here, O_CLOEXEC);
  if (own < 0) return failed();
  if (libc.unshare(CLONE_NEWNET) < 0) return back(own, failed());
  int answer = without_ipv6();
  if (answer == 0 && libc.mount(here, path, 0, MS_BIND, 0) < 0) answer = failed();
  return back(own, answer);
}

int socket_inside(const char *path, int domain, int type, int protocol) {
  int own = libc.open(here, O_CLOEXEC);
  if (own < 0) return failed();
  int there = libc.open(path, O_CLOEXEC);
  if (there < 0 || libc.setns(there, CLONE_NEWNET) < 0) {
    int answer = failed();
    if (there >= 0) libc.close(there);
    libc.close(own);
    return answer;
  }
  libc.close(there);
  int fd = libc.socket(domain, type, protocol);
  return back(own, fd < 0 ? failed() : fd);
}
`;

const signatures = {
  use_libc: { args: ["ptr"], returns: "void" },
  create_namespace: { args: ["ptr"], returns: "i32" },
  socket_inside: { args: ["ptr", "i32", "i32", "i32"], returns: "i32" },
} as const;

function compile() {
  const directory = mkdtempSync(join(tmpdir(), "berth-"));
  try {
    const file = join(directory, "inside.c");
    writeFileSync(file, source);
    const { symbols } = cc({ source: file, symbols: signatures, flags: "-nostdlib" });
    symbols.use_libc(ptr(addresses()));
    return symbols;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function addresses(): BigUint64Array {
  const { symbols } = dlopen("libc.so.6", { dlsym: { args: ["ptr", "ptr"], returns: "ptr" } });
  const found = functions.map((name) => {
    const address = symbols.dlsym(null, ptr(cString(name)));
    if (address === null) throw new EngineError("unavailable", `The C library has no ${name}`);
    return BigInt(address);
  });
  return new BigUint64Array(found);
}

let compiled: ReturnType<typeof compile> | undefined;

export function insideCalls(): ReturnType<typeof compile> {
  compiled ??= compile();
  return compiled;
}
