// How sure a rate is. Wilson's interval for one rate, Newcombe's (his method 10) for the difference of two.

const Z_95 = 1.959964;
// Two-sided 5 % shared among all pairs of 2, 3, ... variants (Bonferroni).
const Z_FOR_VARIANTS = [1.959964, 2.393980, 2.638257, 2.807034, 2.935199, 3.038072];

// [low, high] around hits of tries; everything is possible where nothing was tried.
function wilson(hits, tries, z = Z_95) {
  if (tries <= 0) return [0, 1];
  const rate = Math.min(hits, tries) / tries;
  const spread = z * Math.sqrt((rate * (1 - rate)) / tries + (z * z) / (4 * tries * tries));
  const middle = rate + (z * z) / (2 * tries);
  const scale = 1 + (z * z) / tries;
  return [Math.max(0, (middle - spread) / scale), Math.min(1, (middle + spread) / scale)];
}

// [low, high] of one rate minus the other.
function difference(one, other, z = Z_95) {
  const [low1, high1] = wilson(one.hits, one.tries, z);
  const [low2, high2] = wilson(other.hits, other.tries, z);
  const rate1 = Math.min(one.hits, one.tries) / one.tries;
  const rate2 = Math.min(other.hits, other.tries) / other.tries;
  const gap = rate1 - rate2;
  return [gap - Math.hypot(rate1 - low1, high2 - rate2), gap + Math.hypot(high1 - rate1, rate2 - low2)];
}

// What may be said of variants ({label, hits, tries}): the best one if it is better than each other one, else null.
function clearlyBest(variants) {
  const tried = variants.filter(({ tries }) => tries > 0);
  if (tried.length < 2 || tried.length !== variants.length) return null;
  const z = Z_FOR_VARIANTS[Math.min(tried.length, Z_FOR_VARIANTS.length + 1) - 2];
  const best = tried.reduce((top, next) => (next.hits / next.tries > top.hits / top.tries ? next : top));
  return tried.every((other) => other === best || difference(best, other, z)[0] > 0) ? best : null;
}
