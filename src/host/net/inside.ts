import { cc } from "bun:ffi";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Steps that a thread takes in another network namespace, in C so that nothing can happen in between: a thread inherits
 * the namespace of the one that starts it, and JavaScriptCore starts collector and compiler threads whenever it likes.
 * Done as single calls from JavaScript, one in some hundred left such a thread behind, which kept the namespace and its
 * veth alive for as long as the daemon (seen with Bun 1.4.5). TinyCC inside Bun compiles this in 5 ms, without headers.
 *
 * Both answer 0 or a descriptor, or -errno. A thread that cannot come back would do all that follows in the wrong
 * network: the process ends instead, which containers survive.
 */
const source = `
int open(const char *path, int flags, ...);
long write(int fd, const void *bytes, unsigned long count);
int close(int fd);
int socket(int domain, int type, int protocol);
int unshare(int flags);
int setns(int fd, int type);
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
void abort(void);
int *__errno_location(void);

enum { O_WRONLY = 1, O_CLOEXEC = 02000000, CLONE_NEWNET = 0x40000000, MS_BIND = 4096, ENOENT = 2 };
static const char here[] = "/proc/thread-self/ns/net";

static int failed(void) { return -*__errno_location(); }

static int back(int own, int answer) {
  if (setns(own, CLONE_NEWNET) < 0) abort();
  close(own);
  return answer;
}

/* IPv6 off for interfaces to come; no such file on a kernel without IPv6. */
static int without_ipv6(void) {
  int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed() == -ENOENT ? 0 : failed();
  int answer = write(fd, "1", 1) == 1 ? 0 : failed();
  close(fd);
  return answer;
}

int create_namespace(const char *path) {
  int own = open(here, O_CLOEXEC);
  if (own < 0) return failed();
  if (unshare(CLONE_NEWNET) < 0) return back(own, failed());
  int answer = without_ipv6();
  if (answer == 0 && mount(here, path, 0, MS_BIND, 0) < 0) answer = failed();
  return back(own, answer);
}

int socket_inside(const char *path, int domain, int type, int protocol) {
  int own = open(here, O_CLOEXEC);
  if (own < 0) return failed();
  int there = open(path, O_CLOEXEC);
  if (there < 0 || setns(there, CLONE_NEWNET) < 0) {
    int answer = failed();
    if (there >= 0) close(there);
    close(own);
    return answer;
  }
  close(there);
  int fd = socket(domain, type, protocol);
  return back(own, fd < 0 ? failed() : fd);
}
`;

const signatures = {
  create_namespace: { args: ["ptr"], returns: "i32" },
  socket_inside: { args: ["ptr", "i32", "i32", "i32"], returns: "i32" },
} as const;

function compile() {
  const directory = mkdtempSync(join(tmpdir(), "berth-"));
  try {
    const file = join(directory, "inside.c");
    writeFileSync(file, source);
    return cc({ source: file, symbols: signatures }).symbols;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

let compiled: ReturnType<typeof compile> | undefined;

export function insideCalls(): ReturnType<typeof compile> {
  compiled ??= compile();
  return compiled;
}
