// Who runs the enclave of a set of accounts, when several hosts could: one lease for each share, kept as a job of
// pg-boss in PostgreSQL, touched while its holder lives and taken by another when it was not touched in time. A
// host that cheats makes two enclaves poll the same accounts; their chains then fork, which is a finding.

import type { ClientBase, Pool, QueryResult } from 'pg';
import { PgBoss } from 'pg-boss';
import type { ConstructorOptions } from 'pg-boss';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Logger } from '../logger.ts';

type IDatabase = NonNullable<ConstructorOptions['db']>;

/** A job as it was taken: touching it is nothing once somebody else has it. */
interface JobAttempt {
  readonly id: string;
  readonly retryCount: number;
}

/** What touch and complete answer; their types do not say. */
const settledSchema = z.object({ affected: z.int() });

export const SHARES_SCHEMA = 'pgboss';
/** pg-boss lets no heartbeat be shorter. */
export const MIN_LEASE_MS = 10_000;
/** A job of pg-boss may be active for a day at most: a lease that is older gets another job in time. */
const JOB_SECONDS = 86_399;
const RENEW_JOB_MS = 43_200_000;
const LOOK_MS = 1000;

export interface Lease {
  readonly share: string;
  /** Aborted when the lease was not renewed for half its time, or somebody else has it: the enclave has to end. */
  readonly lost: AbortSignal;
  /** Aborted when another host may have the accounts, or has them: the enclave may reach nobody any more. */
  readonly over: AbortSignal;
  /** Another host may take it at once. */
  readonly release: () => Promise<void>;
}

export interface SharesOptions {
  /** Closed by its owner. */
  readonly pool: Pool;
  readonly leaseMs: number;
  readonly logger: Logger;
  /** For tests: when a lease gets another job. */
  readonly renewJobMs?: number;
}

function databaseOf(client: Pool | ClientBase): IDatabase {
  return {
    executeSql: async (text: string, values?: unknown[]) => {
      // Several statements in one text have several results; pg's types do not say so.
      const result = (await client.query(text, values)) as QueryResult | readonly QueryResult[];
      return 'rows' in result ? result : { rows: result.at(-1)?.rows ?? [] };
    },
  };
}

function bossOf(db: IDatabase, migrate: boolean, logger: Logger | null): PgBoss {
  const options: ConstructorOptions = {
    db,
    schema: SHARES_SCHEMA,
    migrate,
    createSchema: migrate,
    // Nothing happens by itself: who waits for a share looks whether its holder lives.
    supervise: false,
    schedule: false,
    monitorIntervalSeconds: 1,
  };
  const boss = new PgBoss(options);
  boss.on('error', () => logger?.warn('share_error'));
  return boss;
}

/** pg-boss's tables, and the role that hosts use: it takes and gives leases and does nothing else. As the owner. */
export async function installShares(client: ClientBase | Pool): Promise<void> {
  const boss = bossOf(databaseOf(client), true, null);
  await boss.start();
  await boss.stop({ graceful: false });
  await client.query(`
    DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'host_worker') THEN
        CREATE ROLE host_worker LOGIN;
      END IF;
      EXECUTE format('GRANT CONNECT ON DATABASE %I TO host_worker', current_database());
    END $$;
    ALTER ROLE host_worker NOCREATEDB NOCREATEROLE NOINHERIT;
    REVOKE ALL ON SCHEMA ${SHARES_SCHEMA} FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA ${SHARES_SCHEMA} FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ${SHARES_SCHEMA} FROM PUBLIC;
    GRANT USAGE ON SCHEMA ${SHARES_SCHEMA} TO host_worker;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${SHARES_SCHEMA} TO host_worker;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${SHARES_SCHEMA} TO host_worker;
  `);
}

export class Shares {
  readonly #options: SharesOptions;
  readonly #boss: PgBoss;

  private constructor(options: SharesOptions) {
    this.#options = options;
    this.#boss = bossOf(databaseOf(options.pool), false, options.logger);
  }

  /** Rejects where the database cannot be reached, or the tables are not there. */
  static async open(options: SharesOptions): Promise<Shares> {
    const shares = new Shares(options);
    await shares.#boss.start();
    return shares;
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false });
  }

  /** Waits until nobody has it. Null: not any more, `signal` was aborted. A database that fails is asked again. */
  async take(share: string, signal: AbortSignal): Promise<Lease | null> {
    const queue = queueOf(share);
    let isPrepared = false;
    while (!signal.aborted) {
      try {
        if (!isPrepared) await this.#prepare(queue);
        isPrepared = true;
        // Whoever has it and does not say so loses it here.
        await this.#boss.supervise(queue);
        const askedMs = performance.now();
        const job = await this.#fetch(queue);
        if (job !== null) return new HeldLease(share, job, askedMs, this.#options, this.#boss);
      } catch {
        // What pg says may have addresses in it; the code is enough.
        this.#options.logger.warn('share_unreachable', { share });
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
    return null;
  }

  async #prepare(queue: string): Promise<void> {
    await this.#boss.createQueue(queue, { policy: 'exclusive' });
    await sendJob(this.#boss, queue, this.#options.leaseMs, null);
  }

  async #fetch(queue: string): Promise<JobAttempt | null> {
    const [job] = await this.#boss.fetch(queue, { includeMetadata: true });
    if (job !== undefined) return { id: job.id, retryCount: job.retryCount };
    // There is one unless somebody deleted it.
    await sendJob(this.#boss, queue, this.#options.leaseMs, null);
    return null;
  }
}

/** Of a share; pg-boss takes letters, digits, `_`, `-`, `.` and `/`. */
function queueOf(share: string): string {
  return `share/${share}`;
}

/** One at most is waiting or active: another one is not made. */
async function sendJob(
  boss: PgBoss,
  queue: string,
  leaseMs: number,
  db: IDatabase | null,
): Promise<void> {
  const lasting = { retryLimit: 1_000_000_000, retryDelay: 0, expireInSeconds: JOB_SECONDS };
  const heartbeatSeconds = Math.ceil(leaseMs / 1000);
  await boss.send(queue, {}, { ...lasting, heartbeatSeconds, ...(db === null ? {} : { db }) });
}

class HeldLease implements Lease {
  readonly share: string;
  readonly #lost = new AbortController();
  readonly #gone = new AbortController();
  readonly #options: SharesOptions;
  readonly #boss: PgBoss;
  /** Nothing is renewed any more. */
  readonly #done = new AbortController();
  readonly #renewing: Promise<void>;
  #job: JobAttempt;
  #jobSinceMs: number;
  /** Before the last touch that counted was sent: the server's time is not earlier. */
  #touchedMs: number;
  #alarm: NodeJS.Timeout | null = null;
  #end: NodeJS.Timeout | null = null;

  constructor(
    share: string,
    job: JobAttempt,
    askedMs: number,
    options: SharesOptions,
    boss: PgBoss,
  ) {
    this.share = share;
    this.#job = job;
    this.#options = options;
    this.#boss = boss;
    this.#touchedMs = askedMs;
    this.#jobSinceMs = askedMs;
    this.#setAlarm();
    this.#renewing = this.#renew();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get over(): AbortSignal {
    return this.#gone.signal;
  }

  async release(): Promise<void> {
    this.#stop();
    if (this.#end !== null) clearTimeout(this.#end);
    await this.#renewing;
    // For the next one it is a retry, and without delay. Without a database it ends by itself.
    await this.#boss.fail(queueOf(this.share), this.#job).catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const { signal } = this.#done;
    const everyMs = this.#options.leaseMs / 6;
    for (;;) {
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const askedMs = performance.now();
      const isMine = await this.#touch().catch(() => null);
      if (isMine === false) {
        this.#lose();
        this.#leave();
      } else if (isMine === true) {
        this.#touchedMs = askedMs;
        this.#setAlarm();
      }
    }
  }

  async #touch(): Promise<boolean> {
    const { renewJobMs = RENEW_JOB_MS } = this.#options;
    if (performance.now() - this.#jobSinceMs > renewJobMs) return this.#changeJob();
    const touched = await this.#boss.touch(queueOf(this.share), this.#job);
    return settledSchema.parse(touched).affected === 1;
  }

  /** Another job in place of this one, in one transaction: nobody can take the share in between. */
  async #changeJob(): Promise<boolean> {
    const queue = queueOf(this.share);
    const client = await this.#options.pool.connect();
    try {
      await client.query('BEGIN');
      const db = databaseOf(client);
      const completed = await this.#boss.complete(queue, this.#job, null, { db });
      if (settledSchema.parse(completed).affected !== 1) return false;
      await sendJob(this.#boss, queue, this.#options.leaseMs, db);
      const [job] = await this.#boss.fetch(queue, { includeMetadata: true, db });
      if (job === undefined) return false;
      await client.query('COMMIT');
      this.#job = { id: job.id, retryCount: job.retryCount };
      this.#jobSinceMs = performance.now();
      return true;
    } finally {
      await client.query('ROLLBACK').catch(() => undefined);
      client.release();
    }
  }

  /** Half of the lease is left at the alarm, for the enclave to end; at its end another host may begin. */
  #setAlarm(): void {
    // Answered after it was lost: its end stays.
    if (this.#done.signal.aborted) return;
    for (const timer of [this.#alarm, this.#end]) if (timer !== null) clearTimeout(timer);
    const { leaseMs } = this.#options;
    const leftMs = this.#touchedMs + leaseMs - performance.now();
    this.#alarm = setTimeout(
      () => {
        this.#lose();
      },
      leftMs - leaseMs / 2,
    );
    this.#end = setTimeout(() => {
      this.#leave();
    }, leftMs);
  }

  #lose(): void {
    if (this.#done.signal.aborted) return;
    this.#options.logger.warn('share_lost', { share: this.share });
    this.#stop();
    this.#lost.abort();
  }

  /** Also of a host that was suspended, and wakes up too late for anything else. */
  #leave(): void {
    if (this.#gone.signal.aborted) return;
    this.#options.logger.warn('share_over', { share: this.share });
    this.#gone.abort();
  }

  #stop(): void {
    this.#done.abort();
    if (this.#alarm !== null) clearTimeout(this.#alarm);
  }
}
