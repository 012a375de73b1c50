// Every property of a test file begins with the same seed; fast-check prints it with what fails.

import * as fc from 'fast-check';
import { testSeed } from '../helpers/seed.ts';

fc.configureGlobal({ seed: testSeed() });
