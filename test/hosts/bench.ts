import { interleave, median } from "../../scripts/bench/statistics.ts";
import { until } from "../helpers/wait.ts";
import type { Cell } from "./cells.ts";
import { importImage, packImage } from "./checks.ts";
import { CLIENT, startDaemon, traces } from "./daemon.ts";
import type { Host } from "./host.ts";

type Launcher = "rlkit" | "rootlesskit";
type Times = Readonly<Record<"ready" | "docker run", number>>;

/** How an error begins where the release's own RootlessKit does not start this cell's dockerd. */
export const NOT_HERE = "not here: RootlessKit";

/** Medians in milliseconds, and ours as a multiple of that of Debian's own RootlessKit. */
interface Compared {
  readonly what: string;
  readonly rlkit: number;
  readonly rootlesskit: number;
  readonly ratio: number;
}

/** Three containers, one after another; the time in the host itself, in milliseconds. The first is not counted. */
const TIMED = `
  for i in 0 1 2 3; do
    begin=\${EPOCHREALTIME/./}
    docker run --rm cell sh -c : || exit
    ((i == 0)) || echo $(((\${EPOCHREALTIME/./} - begin) / 1000))
  done`;

/** Starts the cell's dockerd in turn with rlkit and with Debian's own RootlessKit, and times that and `docker run`. */
export async function compare(host: Host, cell: Cell, rounds: number): Promise<Compared[]> {
  await packImage(host);
  const before = await traces(host);

  const start = async (launcher: Launcher) => {
    if (launcher === "rlkit") return await startDaemon(host, cell, launcher);
    // Our own script needs no RootlessKit: what it is compared with is Debian's.
    return await startDaemon(host, { ...cell, start: "debian" }, launcher).catch((error) => {
      throw new Error(NOT_HERE, { cause: error });
    });
  };

  const sample = async (launcher: Launcher) => {
    const daemon = await start(launcher);
    if ((await host.sh(`${CLIENT} docker images -q cell`)) === "") await importImage(host);
    const runs = (await host.sh(`${CLIENT} ${TIMED}`)).trim().split(/\s+/).map(Number);
    await daemon.stop();
    const isGone = (line: string) => before.includes(line) || !line.startsWith("process");
    await until(async () => (await traces(host)).every(isGone), { what: "the end of dockerd's processes" });
    return { ready: daemon.ready, "docker run": median(runs) };
  };

  const samples = await interleave<Launcher, Times>(["rootlesskit", "rlkit"], rounds, sample);
  return (["ready", "docker run"] as const).map((what) => {
    const of = (launcher: Launcher) => median((samples.get(launcher) ?? []).map((times) => times[what]));
    const [rlkit, rootlesskit] = [of("rlkit"), of("rootlesskit")];
    return { what, rlkit, rootlesskit, ratio: rlkit / rootlesskit };
  });
}
