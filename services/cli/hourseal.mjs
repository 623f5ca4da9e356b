#!/usr/bin/env node
// Node 20 does not read TypeScript: tsx registers as its loader, and the command proper is loaded.
// In this process, so that a signal reaches the work itself and its exit code is ours.
import { register } from 'tsx/esm/api';

register({ tsconfig: false }); // The tsconfig of whatever folder the user stands in is not ours.
await import('./hourseal.ts');
