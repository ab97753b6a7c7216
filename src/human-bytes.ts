const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A number of bytes for people: 999 B, 1.2 KiB, 37 MiB. */
export function humanBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  // Not from 1000 to 1023 of any unit: four digits are more than a glance takes in.
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}
