/** rlkit's version, from package.json, put in by scripts/build.ts. */
declare const __VERSION__: string;
