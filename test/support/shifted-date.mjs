// Loaded before a command (NODE_OPTIONS=--import) to run it at another time: Date is moved by
// HOURSEAL_TEST_SHIFT_S seconds and runs on from there.
const shiftMs = Number(process.env.HOURSEAL_TEST_SHIFT_S ?? 0) * 1000;
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [RealDate.now() + shiftMs] : args));
  }

  static now() {
    return RealDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate;
