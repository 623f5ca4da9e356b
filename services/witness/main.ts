import { readWitnessConfig } from './config.ts';
import { runWitness } from './run.ts';

process.exitCode = await runWitness(readWitnessConfig(process.env));
