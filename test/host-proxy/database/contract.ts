// What must hold of the database, whichever it is: asked of PGlite behind our front (`make test`) and of a real
// PostgreSQL (`make test-pg`), by the same client.

import { backupContract } from './backup-contract.ts';
import { connectionsContract } from './connections-contract.ts';
import { constraintsContract } from './constraints-contract.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { migrationContract } from './migration-contract.ts';
import { rolesContract } from './roles-contract.ts';

export function databaseContract(open: () => DatabaseUnderTest): void {
  migrationContract(open);
  rolesContract(open);
  constraintsContract(open);
  connectionsContract(open);
  backupContract(open);
}
