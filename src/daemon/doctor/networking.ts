import type { NetworkReport } from "../../network/mod.ts";
import type { DoctorCheck } from "../../wire/mod.ts";
import { ok, problem, warning } from "./check.ts";

export interface NetworkingFacts extends NetworkReport {
  readonly forwarding: boolean;
  /** Whether packets between containers of one network go through the host's iptables rules; undefined where br_netfilter is not loaded. */
  readonly bridgeFilter?: boolean;
  /** Tables of the old iptables, which nft does not show. */
  readonly legacyTables: readonly string[];
}

export function networkingChecks(facts: NetworkingFacts): DoctorCheck[] {
  return [
    forwarding(facts),
    firewall(facts),
    publishedPorts(facts),
    wayOut(facts),
    bridgeFilter(facts),
    resolvers(facts),
    subnets(facts),
    leftovers(facts),
  ];
}

function forwarding({ forwarding }: NetworkingFacts): DoctorCheck {
  if (forwarding) return ok("forwarding", "IPv4 packets are passed on");
  const says = "net.ipv4.ip_forward is 0: containers reach nobody outside, and nobody outside reaches them";
  return problem("forwarding", says, "sysctl net.ipv4.ip_forward=1, and look in /etc/sysctl.d for who turns it off");
}

function firewall({ firewall: { received, passed, problem: unread }, legacyTables }: NetworkingFacts): DoctorCheck {
  if (unread !== undefined) return warning("firewall", `the host's nft rules were not looked at: ${unread}`);
  if (legacyTables.includes("filter")) {
    const says = "the old iptables has rules, which nft does not show: what they do to published ports is not known";
    return warning("firewall", says, "iptables-legacy -S FORWARD shows them; move them to iptables-nft");
  }
  const parts = [
    received.drop ? `what comes in is dropped unless it is allowed (chain ${received.by})` : "everything may come in",
    passed.drop ? `what is passed on is dropped unless it is allowed (chain ${passed.by})` : "everything is passed on",
  ];
  return ok("firewall", parts.join("; "));
}

/** What a port of a container is worth behind the host's firewall, whether one is published now or not. */
function publishedPorts({ firewall: { received, passed, warnings } }: NetworkingFacts): DoctorCheck {
  const [first, ...more] = warnings;
  if (first !== undefined) {
    const says = [first, ...more.slice(0, 9)].join("; ");
    return passed.accept ? warning("published ports", says) : problem("published ports", says, remedy(passed.by));
  }
  if (!passed.accept) {
    const says = `the host's firewall (chain ${passed.by}) drops them: they answer on this host only`;
    return warning("published ports", says, remedy(passed.by));
  }
  if (!received.drop) return ok("published ports", "can be reached from outside");
  const says = `can be reached from outside although the host's firewall (chain ${received.by}) keeps others out: they are forwarded, and do not come in`;
  return warning("published ports", says, "publish on 127.0.0.1 what is to stay on this host");
}

const byFirewalld = "firewall-cmd --zone=trusted --add-interface=…, with the bridge of each network";

function remedy(chain = ""): string {
  if (chain.startsWith("inet firewalld ")) return byFirewalld;
  return `let them through in ${chain}: ct status dnat accept`;
}

function wayOut({ firewall: { sent } }: NetworkingFacts): DoctorCheck {
  if (sent.accept) return ok("way out", "containers reach the outside");
  const says = `the host's firewall (chain ${sent.by}) drops what containers send to the outside`;
  const ofFirewalld = sent.by?.startsWith("inet firewalld ");
  return problem(
    "way out",
    says,
    ofFirewalld ? byFirewalld : "let through there what comes by their bridges (iifname)",
  );
}

function bridgeFilter({ bridgeFilter, firewall: { passed } }: NetworkingFacts): DoctorCheck {
  if (bridgeFilter === undefined)
    return ok("br_netfilter", "not loaded: containers of one network talk past the host's firewall");
  if (!bridgeFilter || passed.accept) return ok("br_netfilter", bridgeFilter ? "loaded" : "loaded, and turned off");
  const says = "containers of one network talk through the host's firewall, which drops what is passed on";
  return warning("br_netfilter", says, "sysctl net.bridge.bridge-nf-call-iptables=0");
}

function resolvers({ resolvers }: NetworkingFacts): DoctorCheck {
  const silent = resolvers.filter(({ answers }) => !answers).map(({ server }) => server);
  if (silent.length === 0) return ok("resolvers", `${resolvers.map(({ server }) => server).join(", ")} answer`);
  const says = `no answer from ${silent.join(", ")}, which /etc/resolv.conf names`;
  const advice = "look whether it runs and can be reached; containers' own names resolve without it";
  return warning(
    "resolvers",
    silent.length === resolvers.length ? `${says}: names of the world do not resolve` : says,
    advice,
  );
}

function subnets({ overlaps }: NetworkingFacts): DoctorCheck {
  if (overlaps.length === 0) return ok("subnets", "no network is where a route of the host leads");
  const says = overlaps.map(
    ({ network, subnet, route, link }) =>
      `network ${network} (${subnet}) takes what the route ${route} would lead to ${link || "nobody"}`,
  );
  return warning("subnets", says.join("; "), "make the network anew with another --subnet");
}

function leftovers({ leftovers }: NetworkingFacts): DoctorCheck {
  if (leftovers.length === 0) return ok("leftovers", "nothing in the kernel that nobody knows");
  const says = `in the kernel, but in nobody's books: ${leftovers.join(", ")}`;
  return warning(
    "leftovers",
    says,
    "a restart of the daemon removes links; tables and rules of daemons that are gone go by nft delete",
  );
}
