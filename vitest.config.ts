import { defineConfig } from 'vitest/config';

// Tests that start processes of their own, a strategy's for the most part, that run the whole appliance, or that wait
// for connections to be made again.
const PROCESS_TESTS = [
  'test/bench/**/*.test.ts',
  'test/eif/build/elsewhere.test.ts',
  'test/eif/lock/fetch.test.ts',
  'test/enclave/connector/process.test.ts',
  'test/enclave/kms/image-client.test.ts',
  'test/enclave/nsm/open-device.test.ts',
  'test/enclave/launch/**/*.test.ts',
  'test/enclave/ledger/grpc/process.test.ts',
  'test/enclave/ledger/grpc/reflection.test.ts',
  'test/enclave/tap/**/*.test.ts',
  'test/host-proxy/database/{pglite,front,commands,shares,track,audit}.test.ts',
  'test/host-proxy/feed/live.test.ts',
  'test/enclave/desk/exchange-faults.test.ts',
  'test/enclave/strategy/**/*.test.ts',
  'test/enclave/real-strategy.test.ts',
  'test/hostile-host/verdicts.test.ts',
  'test/hostile-strategy/**/*.test.ts',
  'test/pressure/**/*.test.ts',
  'test/replay/cuts.test.ts',
  'test/simulator/moved-clock.test.ts',
  'test/simulator/s3/program.test.ts',
  'test/strategies/**/*.test.ts',
  'test/scripts/**/*.test.ts',
  'test/simulator/exchange/program.test.ts',
  'test/simulator/kms/program.test.ts',
  'test/fuzz/**/*.test.ts',
  'test/verifier/heads-processes.test.ts',
  'test/verifier/replay/**/*.test.ts',
  'test/wire/node/vsock.test.ts',
  'test/wire/node/transport.test.ts',
];

// Whole appliances, one after the other.
const E2E_TESTS = [
  'test/e2e/**/*.test.ts',
  'test/hostile-host/processes.test.ts',
  'test/replay/epochs.test.ts',
];

const SETUP = ['test/setup/seed.ts'];

// `unit` is what `make check` runs; `processes` and `e2e` start processes, `peers` asks independent
// programs. `make test` runs all.
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: SETUP,
          include: ['test/**/*.test.ts'],
          exclude: [
            ...E2E_TESTS,
            'test/peers/**',
            'test/vm/**',
            'test/s3/**',
            'test/pg/**',
            ...PROCESS_TESTS,
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'processes',
          setupFiles: SETUP,
          include: PROCESS_TESTS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'peers',
          setupFiles: SETUP,
          include: ['test/peers/**/*.test.ts'],
          testTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'e2e',
          setupFiles: SETUP,
          include: E2E_TESTS,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      // Against real S3 servers: `make test-s3`, not part of `make test`.
      {
        test: {
          name: 's3',
          setupFiles: SETUP,
          include: ['test/s3/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      // Against a real PostgreSQL: `make test-pg`, not part of `make test`.
      {
        test: {
          name: 'pg',
          setupFiles: SETUP,
          include: ['test/pg/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      // In emulated enclaves: `make test-vm`, not part of `make test`.
      {
        test: {
          name: 'vm',
          setupFiles: SETUP,
          include: ['test/vm/**/*.test.ts'],
          globalSetup: 'test/vm/setup.ts',
          testTimeout: 1_800_000,
          hookTimeout: 1_800_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'vm-bench',
          include: ['test/vm/**/*.bench.ts'],
          globalSetup: 'test/vm/setup.ts',
          testTimeout: 1_800_000,
        },
      },
    ],
  },
});
