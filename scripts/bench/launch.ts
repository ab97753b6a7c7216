import type { User } from "../../test/helpers/user.ts";
import { interleave, milliseconds, type Row } from "./statistics.ts";
import { end, label, type Subject, start } from "./subject.ts";

const CASES = {
  "launch, --net=host": ["--net=host"],
  "launch, slirp4netns and copy-up": [
    "--net=slirp4netns",
    "--copy-up=/etc",
    "--copy-up=/run",
    "--disable-host-loopback",
  ],
};

/** From starting the launcher to its end, with `true` as the target. */
export async function benchLaunch(user: User, subjects: readonly Subject[], rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [measurement, options] of Object.entries(CASES)) {
    const samples = await interleave(subjects, rounds, (subject) => launch(user, subject, options));
    for (const subject of subjects) {
      rows.push({ measurement, subject: label(subject), unit: "ms", samples: samples.get(subject) ?? [] });
    }
  }
  return rows;
}

async function launch(user: User, subject: Subject, options: readonly string[]): Promise<number> {
  const began = process.hrtime.bigint();
  const status = await end(start(user, subject.env, subject.command(options, ["true"])));
  const time = milliseconds(began);
  if (status !== "0") throw new Error(`${subject.command(options, ["true"]).join(" ")} ended with ${status}`);
  return time;
}
