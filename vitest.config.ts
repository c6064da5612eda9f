import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          setupFiles: ["src/testkit/seed.ts"],
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["test/e2e/**", "test/vm/**"],
        },
      },
      {
        test: {
          name: "e2e",
          setupFiles: ["src/testkit/seed.ts"],
          include: ["test/e2e/**/*.test.ts"],
          // They mostly wait.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "vm",
          setupFiles: ["src/testkit/seed.ts"],
          include: ["test/vm/**/*.test.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: 1_800_000,
        },
      },
    ],
  },
});
