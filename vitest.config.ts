// `npm test`: what passes in two minutes on two cores. `npm run test:all` runs the rest as well (vitest.all.config.ts).
import { configDefaults, defineConfig } from 'vitest/config'

/** Files that only `npm run test:all` has: what drives browsers, command lines and whole sets of generated flows. */
const MORE = [
  'test/bench/**',
  'test/browser/**',
  'test/cli/**',
  'test/codes/command.test.ts',
  'test/crash/**',
  'test/docs/**',
  'test/ecosystem/**',
  'test/fixtures/recording.test.ts',
  'test/fuzz/**',
  'test/hostile/{challenges,deposits,garbage,lying-node-fee,store-*,vouchers,wire}.test.ts',
  'test/incidents/**',
  'test/inspect-live/**',
  'test/inspect/svg.test.ts',
  'test/machines/recovery-rows.test.ts',
  'test/model/{example,export,generation,pairs,transitions}.test.ts',
  'test/peers/{evm,evm-flow,mppx-server-crowd,payers}.test.ts',
  'test/recovery/**',
  'test/rows/{local-failures,problem-types}.test.ts',
  'test/sessions/{postgres-store,processes}.test.ts',
]

export function configOf(extent: 'two minutes' | 'all') {
  const all = extent === 'all'
  return defineConfig({
    test: {
      include: ['test/**/*.test.ts'],
      exclude: [...configDefaults.exclude, ...(all ? [] : MORE)],
      env: { MPP_FLOW_TEST_ALL: String(all) },
      testTimeout: 60_000,
      hookTimeout: 60_000,
      // What is polled for comes in its time, also on a busy machine.
      expect: { poll: { timeout: 20_000 } },
      reporters: ['default'],
      // Tests share no state but modules: loading those once per worker halves the time of the whole run.
      isolate: false,
      // Most tests wait for block times more than they compute.
      maxWorkers: 4,
    },
  })
}

export default configOf('two minutes')
