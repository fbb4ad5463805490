/** Debian's package of each program that the engine runs, for messages that say what to install. */
const packages: Readonly<Record<string, string>> = {
  apparmor_parser: "apparmor",
  bridge: "iproute2",
  conmon: "conmon",
  getent: "libc-bin",
  crun: "crun",
  git: "git",
  ip: "iproute2",
  "mkfs.erofs": "erofs-utils",
  "mkfs.ext4": "e2fsprogs",
  nft: "nftables",
  nsenter: "util-linux",
  runc: "runc",
  setpriv: "util-linux",
  sysctl: "procps",
  tini: "tini",
  unshare: "util-linux",
  useradd: "passwd",
  usermod: "passwd",
  xz: "xz-utils",
  zstd: "zstd",
};

/** What to tell the user when a program is missing. */
export function missingProgram(program: string): string {
  const name = program.slice(program.lastIndexOf("/") + 1);
  const found = packages[name];
  const hint = found ? `install the Debian package ${found} (apt-get install ${found})` : "install it";
  return `The program ${program} is missing: ${hint}`;
}
