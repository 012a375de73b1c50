// The types that applications see, in one place for both entries.

export type { AccountOptions, AccountType } from './account-options.ts';
export type { Permissions, Registration, SavedSession } from './registration.ts';
export type { EnclaveFacts, ResumeOptions, SecureClientOptions } from './secure-client.ts';
export type { ResultEvidence, VerifiedResult } from './signed-result.ts';
export type { Policy, UnsafeOptions } from './trust.ts';
