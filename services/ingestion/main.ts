import { readIngestionConfig } from './config.ts';
import { runIngestion } from './run.ts';

process.exitCode = await runIngestion(await readIngestionConfig(process.env));
