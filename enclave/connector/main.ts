// The connector process: jobs from the desk on descriptor 0, which is a socket and written to as well. It has no network
// and no files: a request leaves as a FETCH, and what it was allowed to read for loading is dropped before the
// first job. It ends with its stream, and on any bug; the desk starts another.

import { Socket } from 'node:net';
import process from 'node:process';
import { dropPermissions } from '../permissions.ts';
import { serveConnector } from './serve.ts';

const stream = new Socket({ fd: 0, readable: true, writable: true });
dropPermissions();
serveConnector(stream, (bug) => process.exit(bug ? 70 : 0));
