import { add } from '../exact.ts';

/**
 * Splits whole watt-hours by weights, by the method of the largest remainder: each share is within one
 * of `amount * weight / sum of weights`, and together they are `amount`. Ties go to the earlier one, so
 * the caller sorts by id. `amount` must not exceed the sum of the weights; no share exceeds its weight.
 */
export function sharesOf(amount: number, weights: readonly number[]): readonly number[] {
  const whole = weights.reduce(add, 0);
  if (amount > whole) throw new RangeError(`sharesOf: ${amount} of ${whole}`);
  if (amount === whole) return weights;
  const shares: number[] = [];
  const remainders: number[] = [];
  let given = 0;
  for (const weight of weights) {
    const { quotient, remainder } = divide(amount, weight, whole);
    shares.push(quotient);
    remainders.push(remainder);
    given += quotient;
  }
  const byRemainder = [...remainders.keys()].sort(
    (a, b) => (remainders[b] ?? 0) - (remainders[a] ?? 0) || a - b,
  );
  // What is left over is the sum of the remainders in wholes: fewer than there are remainders above 0.
  for (const i of byRemainder.slice(0, amount - given)) shares[i] = (shares[i] ?? 0) + 1;
  return shares;
}

/** amount * weight by whole, exactly; in doubles where the product is a safe integer. */
function divide(
  amount: number,
  weight: number,
  whole: number,
): { readonly quotient: number; readonly remainder: number } {
  const product = amount * weight;
  if (Number.isSafeInteger(product)) {
    const remainder = product % whole;
    return { quotient: (product - remainder) / whole, remainder };
  }
  const [dividend, divisor] = [BigInt(amount) * BigInt(weight), BigInt(whole)];
  return { quotient: Number(dividend / divisor), remainder: Number(dividend % divisor) };
}

/** First come, first served: each its whole weight, in their order, until `amount` is given out. */
export function inOrder(amount: number, weights: readonly number[]): readonly number[] {
  let left = amount;
  return weights.map((weight) => {
    const share = Math.min(left, weight);
    left -= share;
    return share;
  });
}
