/** Resolves with the first SIGTERM or SIGINT; a second one ends the program at once, for whoever does not want to wait. */
export function untilStopped(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let asked = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (asked) process.exit(signal === "SIGTERM" ? 143 : 130);
      asked = true;
      resolve(signal);
    });
  }
  return promise;
}
