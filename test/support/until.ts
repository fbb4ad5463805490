/** How many times longer than usual to wait before giving up: BERTH_TEST_PATIENCE=10 for an emulated machine. */
export const patience = Number(process.env["BERTH_TEST_PATIENCE"] ?? 1);

/**
 * Waits for something to become true, asking again and again; throws when it has not within half a minute, saying what.
 * What it throws itself is passed on. Shorter than a test may take: `bun test` ends every process, the daemon too, when a
 * test takes too long.
 */
export async function until<T>(
  what: string | (() => string),
  holds: () => Promise<T> | T,
  seconds = 30,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + seconds * patience * 1000;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > deadline)
      throw new Error(`waited ${seconds * patience} s in vain: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(20);
  }
}
