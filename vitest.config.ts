import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is polled for comes in its time, also on a busy machine.
    expect: { poll: { timeout: 20_000 } },
    reporters: ['default'],
    // Tests share no state but modules: loading those once per worker halves the time of the whole run.
    isolate: false,
    // Most tests wait for backoffs and block times more than they compute.
    maxWorkers: 4,
  },
})
