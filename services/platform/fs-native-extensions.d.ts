/** The part that folder-lock.ts uses of a package that brings no types. */
declare module 'fs-native-extensions' {
  /** Takes a lock on the whole open file; false when another descriptor has it. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
