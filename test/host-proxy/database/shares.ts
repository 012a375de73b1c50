// What must hold of leases, whichever database keeps them.

import type { Pool } from 'pg';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { installShares, MIN_LEASE_MS, Shares } from '../../../host-proxy/database/shares.ts';
import type { Lease } from '../../../host-proxy/database/shares.ts';
import { SILENT } from './own-database.ts';

export interface SharesUnderTest {
  /** `host_worker` where the server has roles of its own; ended by the test. */
  readonly pool: (role: 'owner' | 'worker') => Pool;
}

async function held(lease: Promise<Lease | null>): Promise<Lease> {
  const found = await lease;
  if (found === null) throw new Error('no lease');
  return found;
}

export function sharesContract(open: () => SharesUnderTest): void {
  const pools: Pool[] = [];
  const all: Shares[] = [];
  const never = new AbortController().signal;

  async function host(renewJobMs?: number): Promise<{ shares: Shares; pool: Pool }> {
    const pool = open().pool('worker');
    pools.push(pool);
    const renew = renewJobMs === undefined ? {} : { renewJobMs };
    const options = { pool, leaseMs: MIN_LEASE_MS, logger: SILENT, ...renew };
    const shares = await Shares.open(options);
    all.push(shares);
    return { shares, pool };
  }

  beforeAll(async () => {
    const pool = open().pool('owner');
    await installShares(pool);
    // Again, as at each release.
    await installShares(pool);
    await pool.end();
  });

  afterEach(async () => {
    await Promise.all(all.splice(0).map((one) => one.close()));
    const left = pools.splice(0).filter((pool) => !pool.ended);
    await Promise.all(left.map((pool) => pool.end()));
  });

  describe('leases of shares', () => {
    it('are held by one of many at a time, and handed on when they are given back', async () => {
      const hosts = await Promise.all(Array.from({ length: 4 }, () => host()));
      let holders = 0;
      const turns: number[] = [];
      await Promise.all(
        hosts.map(async ({ shares }, number) => {
          const lease = await held(shares.take('turns', never));
          holders++;
          expect(holders).toBe(1);
          turns.push(number);
          await new Promise((resolve) => setTimeout(resolve, 100));
          holders--;
          await lease.release();
        }),
      );
      expect(new Set(turns)).toEqual(new Set([0, 1, 2, 3]));
      expect(turns).toHaveLength(4);
    });

    it('of different shares are held by different hosts', async () => {
      const [a, b] = [await host(), await host()];
      const leases = [
        await held(a.shares.take('one', never)),
        await held(b.shares.take('two', never)),
      ];
      expect(leases.map(({ share }) => share)).toEqual(['one', 'two']);
      expect(leases.map(({ lost }) => lost.aborted)).toEqual([false, false]);
      await Promise.all(leases.map((lease) => lease.release()));
    });

    it('of a host that is gone are taken by another, and lost to it before', async () => {
      const [dying, next] = [await host(), await host()];
      const lease = await held(dying.shares.take('gone', never));
      let isLost = false;
      lease.lost.addEventListener('abort', () => {
        isLost = true;
      });
      // It lives, and reaches the database no more.
      await dying.pool.end();
      const taken = await held(next.shares.take('gone', never));
      expect(isLost).toBe(true);
      expect(taken.lost.aborted).toBe(false);
      await lease.release();
      // What the former holder does changes nothing any more.
      await new Promise((resolve) => setTimeout(resolve, MIN_LEASE_MS / 3));
      expect(taken.lost.aborted).toBe(false);
      await taken.release();
    });

    it('of a host whose renewal is answered after it lost them are over all the same', async () => {
      const slow = await host();
      const answer = Promise.withResolvers<void>();
      const query = slow.pool.query.bind(slow.pool) as (...given: unknown[]) => Promise<unknown>;
      const lease = await held(slow.shares.take('slow', never));
      let asked = 0;
      slow.pool.query = (async (...given: unknown[]) => {
        const result = await query(...given);
        asked++;
        await answer.promise;
        return result;
      }) as Pool['query'];
      await new Promise((resolve) => {
        lease.lost.addEventListener('abort', resolve);
      });
      expect([asked, lease.over.aborted]).toEqual([1, false]);
      answer.resolve();
      // Another host may have them by then.
      await new Promise((resolve) => setTimeout(resolve, MIN_LEASE_MS));
      expect(lease.over.aborted).toBe(true);
      await lease.release();
    });

    it('that live are kept beyond their time, and while their job is changed', async () => {
      const [holder, other] = [await host(1000), await host()];
      const lease = await held(holder.shares.take('kept', never));
      const stop = new AbortController();
      const waiting = other.shares.take('kept', stop.signal);
      await new Promise((resolve) => setTimeout(resolve, 1.5 * MIN_LEASE_MS));
      expect(lease.lost.aborted).toBe(false);
      stop.abort();
      expect(await waiting).toBe(null);
      await lease.release();
      await (await held(other.shares.take('kept', never))).release();
    });

    it('are nobody’s but the hosts’', async () => {
      const pool = open().pool('owner');
      const found = await pool.query<{ grantee: string }>(
        `SELECT DISTINCT coalesce(r.rolname, 'PUBLIC') AS grantee FROM (
           SELECT relacl AS acl FROM pg_class WHERE relnamespace = 'pgboss'::regnamespace
           UNION ALL SELECT coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
             WHERE pronamespace = 'pgboss'::regnamespace
           UNION ALL SELECT nspacl FROM pg_namespace WHERE nspname = 'pgboss'
         ) o, aclexplode(o.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee ORDER BY 1`,
      );
      await pool.end();
      expect(found.rows).toEqual([{ grantee: 'host_worker' }, { grantee: 'postgres' }]);
    });

    it('that somebody deleted are lost, and can be taken again', async () => {
      const { shares, pool } = await host();
      const lease = await held(shares.take('deleted', never));
      const lost = new Promise((resolve) => {
        lease.lost.addEventListener('abort', resolve);
      });
      await pool.query("DELETE FROM pgboss.job WHERE name = 'share/deleted'");
      await lost;
      const again = await held(shares.take('deleted', never));
      expect(again.lost.aborted).toBe(false);
      await again.release();
    });
  });
}
