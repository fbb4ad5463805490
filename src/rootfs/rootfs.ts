/**
 * What an engine reads and writes in a container's root, which a build's step and a container have in common: users and
 * groups by the root's own /etc/passwd and /etc/group, and the texts of its /etc/hosts and /etc/resolv.conf. All is
 * functions without state; a root's files are hostile, and only read within it.
 */

/** Who a process runs as. */
export interface ResolvedUser extends Owner {
  readonly additionalGids: readonly number[];
  /** "/" where the root says nothing. */
  readonly home: string;
}

/** Whom a file belongs to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What `--add-host` asks for: `NAME:ADDRESS` or `NAME=ADDRESS`; IPv6 addresses may have brackets. */
export interface ExtraHosts {
  readonly extraHosts: readonly string[];
  /** The address that `host-gateway` stands for, asked only when it is used; entries that need it are left out where there is none. */
  hostGateway(): string | undefined;
}

export interface HostsInput extends ExtraHosts {
  readonly hostname: string;
  /** "" for none. */
  readonly domainname: string;
  readonly addresses: readonly string[];
}

/** A line of /etc/hosts: an address and what it is called. */
export interface HostLine {
  readonly address: string;
  readonly names: readonly string[];
}

export interface HostsUpdate {
  /** Lines that are kept as they are, and written when the file is empty. */
  readonly base: readonly string[];
  /** The engine's own, in the place of all whose first name is one of `names`. */
  readonly lines: readonly HostLine[];
  readonly names: ReadonlySet<string>;
}

export interface ResolvConfInput {
  /** The text of the host's own file. */
  readonly host: string;
  /** The text of {@link stubbed}, "" where there is none: whom systemd-resolved asks, if it is the host's only resolver. */
  readonly behind?: string;
  /** Asked instead of any other, and knows whom to ask in turn. */
  readonly resolver?: string;
  /** What was asked for; empty lists leave it to the host's file. A search domain "." means none at all. */
  readonly dns: readonly string[];
  readonly search?: readonly string[];
  readonly options?: readonly string[];
  /** The host's network is used, where the host's resolvers on loopback answer. */
  readonly hostNetwork: boolean;
}
