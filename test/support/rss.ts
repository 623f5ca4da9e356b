import { readFileSync } from 'node:fs';

/** The most memory that a process has held so far (VmHWM), in MiB; 0 where the system does not tell. */
export function rssPeakMiB(pid: number): number {
  try {
    const [, kibibytes = '0'] =
      /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kibibytes) / 1024;
  } catch {
    return 0; // It has ended, or this is no Linux.
  }
}
