import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["{src,scripts}/**/*.test.ts"] } },
      {
        test: {
          name: "behaviour",
          include: ["test/**/*.test.ts"],
          globalSetup: ["test/helpers/global-setup.ts"],
          // Each test starts real processes, some a whole dockerd; the machine's two cores are not to be shared further.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
