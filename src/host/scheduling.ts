import type { Processes } from "./host.ts";

/** chrt(1), which util-linux has. Its children are as everybody (SCHED_RESET_ON_FORK): a container's process must not be urgent. */
const prefix = ["chrt", "--reset-on-fork", "--fifo", "1"];

/** See {@link Processes.urgent}. The kernel is asked once: it refuses without CAP_SYS_NICE, or a cgroup's share of such time. */
export function urgent(run: Processes["run"]): Processes["urgent"] {
  let allowed: Promise<boolean> | undefined;
  return async (argv) => {
    allowed ??= run([...prefix, "true"]).then(
      ({ code }) => code === 0,
      () => false, // no such program
    );
    return (await allowed) ? [...prefix, ...argv] : argv;
  };
}
