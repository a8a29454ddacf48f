// The loops over drift charts, eight features at a time; compiled once for each kind of instructions. Invariants:
// - No lane depends on another one, so that every kind of instructions gives the same bits.
// - `DriftChart.observe` in Swift does the same operations in the same order. It moves the charts that these loops leave:
//   those that are young, those that begin or cease to drift, and those whose pool lies so far away that it is limited.

// Functions of one number are written once, for lanes and for a double.
template <class Number>
struct IntegersOf;
template <>
struct IntegersOf<double> {
  typedef int64_t Type;
};
template <>
struct IntegersOf<Lanes> {
  typedef Integers Type;
};

// As Swift's `max` and `min`, so that a zero has the same sign.
template <class Number>
INLINED Number greater(Number a, Number b) {
  return b >= a ? b : a;
}

template <class Number>
INLINED Number lesser(Number a, Number b) {
  return b < a ? b : a;
}

template <class Number>
INLINED Number bounded(Number value, Number low, Number high) {
  return lesser(greater(value, low), high);
}

// A whole number of 0 to 2^52 as a double.
template <class Number, class Whole>
INLINED Number from_count(Whole count) {
  count |= 0x4330000000000000;
  Number number;
  __builtin_memcpy(&number, &count, sizeof(number));
  return number - 0x1p52;
}

// The natural logarithm of a normal positive number, to 1 in the last place.
// Source: FreeBSD's e_log.c (Sun Microsystems 1993), without its special cases.
template <class Number>
INLINED Number logarithm(Number x) {
  typedef typename IntegersOf<Number>::Type Whole;
  Whole bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  // x = 2^k m with m from 0.707 to 1.414.
  bits += static_cast<int64_t>(0x3ff00000 - 0x3fe6a09e) << 32;
  const Number k = from_count<Number>(bits >> 52) - 1023.0;
  bits = (bits & 0xfffffffffffff) + (static_cast<int64_t>(0x3fe6a09e) << 32);
  Number m;
  __builtin_memcpy(&m, &bits, sizeof(m));
  const Number f = m - 1.0, half_square = 0.5 * f * f;
  const Number s = f / (f + 2.0), z = s * s, w = z * z;
  const Number even =
      w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const Number odd = z * (6.666666666666735130e-01 +
                          w * (2.857142874366239149e-01 +
                               w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  return s * (half_square + (even + odd)) + k * 1.90821492927058770002e-10 - half_square + f +
         k * 6.93147180369123816490e-01;
}

// e^x to a few units in the last place, for x from -708.39 to 709; other numbers count as these bounds.
template <class Number>
INLINED Number exponential(Number x) {
  typedef typename IntegersOf<Number>::Type Whole;
  x = bounded(x, Number{} - 708.39, Number{} + 709.0);
  // The nearest whole number of x / ln 2 stands in the low bits.
  const Number shifted = x * 1.44269504088896338700 + 0x1.8p52;
  const Number n = shifted - 0x1.8p52;
  const Number r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  Number sum = Number{} + 1.0 / 479001600;
  const double factors[] = {1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                            1.0 / 5040,     1.0 / 720,     1.0 / 120,    1.0 / 24,
                            1.0 / 6,        0.5,           1.0,          1.0};
  for (const double factor : factors) sum = sum * r + factor;
  Whole bits;
  __builtin_memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits << 52) + (static_cast<int64_t>(1023) << 52);
  Number scale;
  __builtin_memcpy(&scale, &bits, sizeof(scale));
  return sum * scale;
}

// The weights of a pool in the moments of a chart, after so many pools.
template <class Number>
struct PoolWeights {
  Number mean{}, variance{}, covariance{}, covariance2{}, long_run{};

  PoolWeights() = default;
  INLINED PoolWeights(Number pools, Number slow_weight) {
    const Number one = Number{} + 1.0;
    const Number slow = lesser(slow_weight, Number{} + 1.0 / 128);
    const Number spread = slow / 10.0;
    mean = greater(slow, one / (pools + 1.0));
    variance = greater(spread, one / pools);
    covariance = greater(spread, one / (pools - 1.0));
    covariance2 = greater(spread, one / (pools - 2.0));
    long_run = greater(spread, one / (pools - 20.0));
  }
};

// Most charts of a batch have as many pools: their weights are divided once.
struct WeightsInForce {
  int64_t pools = -1;
  double slow_weight = 0;
  PoolWeights<double> weights;

  INLINED PoolWeights<Lanes> of(Integers all_pools, Lanes slow_weights) {
    const auto others = (all_pools != all_pools[0]) | (slow_weights != slow_weights[0]);
    if (any_of(others)) return PoolWeights<Lanes>(from_count<Lanes>(all_pools), slow_weights);
    if (all_pools[0] != pools || slow_weights[0] != slow_weight) {
      pools = all_pools[0];
      slow_weight = slow_weights[0];
      weights = PoolWeights<double>(static_cast<double>(pools), slow_weight);
    }
    PoolWeights<Lanes> same;
    same.mean = Lanes{} + weights.mean;
    same.variance = Lanes{} + weights.variance;
    same.covariance = Lanes{} + weights.covariance;
    same.covariance2 = Lanes{} + weights.covariance2;
    same.long_run = Lanes{} + weights.long_run;
    return same;
  }
};

// Eight charts or fewer of one kind, in their columns.
template <bool is_full>
struct ChartGroup {
  const ChartColumns &columns;
  size_t row, rest;

  INLINED Lanes real(int column) const { return load_some<is_full>(columns.reals[column] + row, rest); }
  // A column keeps its number where a chart is left.
  INLINED void set_real(int column, Integers done, Lanes value, Lanes before) const {
    store_some<is_full>(columns.reals[column] + row, done ? value : before, rest);
  }
  INLINED Integers count(int column) const {
    const ptrdiff_t *from = columns.counts[column] + row;
    Integers values{};
    if (is_full) {
      __builtin_memcpy(&values, from, sizeof(values));
    } else {
      for (size_t i = 0; i < rest; ++i) values[i] = from[i];
    }
    return values;
  }
  INLINED void set_count(int column, Integers value) const {
    ptrdiff_t *to = columns.counts[column] + row;
    if (is_full) {
      __builtin_memcpy(to, &value, sizeof(value));
    } else {
      for (size_t i = 0; i < rest; ++i) to[i] = value[i];
    }
  }
};

// One pool of each chart of a group.
struct PoolLanes {
  Lanes value, weight, root, slow_weight, floor;
};

// One side of the charts of a group: a CUSUM, and the level since it has risen.
template <bool is_full>
struct ChartSide {
  Lanes score, sum, weight, new_score;
  Integers begins;

  // `z`: how far the pool is on this side, in spreads.
  INLINED ChartSide(const ChartGroup<is_full> &charts, int first, Lanes z, double limit) {
    const Lanes zero{};
    score = charts.real(first);
    sum = charts.real(first + 1);
    weight = charts.real(first + 2);
    const Lanes rise = z - 0.5;
    begins = (score == zero) | (rise > 2.0 * greater(score, zero + 1.0));
    new_score = lesser(greater(zero, score + rise), zero + limit);
  }

  INLINED void store(const ChartGroup<is_full> &charts, int first, int first_count, Integers done,
                     const PoolLanes &pool, const ChartPlace &place) const {
    const Lanes zero{};
    const Integers rests = new_score == zero;
    const Lanes new_sum = (begins ? zero : sum) + pool.weight * pool.value;
    const Lanes new_weight = (begins ? zero : weight) + pool.weight;
    charts.set_real(first, done, new_score, score);
    charts.set_real(first + 1, done, rests ? zero : new_sum, sum);
    charts.set_real(first + 2, done, rests ? zero : new_weight, weight);
    for (unsigned left = bits_of(begins & ~rests & done); left != 0; left &= left - 1) {
      const size_t at = charts.row + static_cast<size_t>(__builtin_ctz(left));
      charts.columns.reals[first + 3][at] = place.seconds;
      charts.columns.counts[first_count][at] = place.batch;
      charts.columns.counts[first_count + 1][at] = place.record;
    }
  }
};

// Gives each chart of a group its pool. Returns the charts that it has moved.
template <bool is_full>
INLINED Integers observe_group(const ChartGroup<is_full> &charts, Integers active,
                               const PoolLanes &pool, const ChartRule &rule,
                               const ChartPlace &place, WeightsInForce &in_force) {
  const Lanes zero{}, one = zero + 1.0;
  const Lanes reference = charts.real(CHART_REFERENCE), mean = charts.real(CHART_MEAN);
  const Lanes variance = charts.real(CHART_VARIANCE), covariance = charts.real(CHART_COVARIANCE);
  const Lanes covariance2 = charts.real(CHART_COVARIANCE2), long_run = charts.real(CHART_LONG_RUN);
  const Lanes last = charts.real(CHART_LAST), last_root = charts.real(CHART_LAST_ROOT);
  const Lanes last2 = charts.real(CHART_LAST2), last_root2 = charts.real(CHART_LAST_ROOT2);
  const Lanes last_new = charts.real(CHART_LAST_NEW), last_new2 = charts.real(CHART_LAST_NEW2);
  const Integers pools = charts.count(CHART_POOLS), phase = charts.count(CHART_PHASE);

  // The two pools before foretell a part of the pool (`DriftSpread.prediction`).
  const Lanes inverse = variance >= 0x1p-1022 ? one / variance : zero;
  const Lanes r1 = bounded(covariance * inverse, zero - 0.98, zero + 0.98);
  const Lanes r2 = covariance2 * inverse, rest1 = one - r1 * r1;
  Lanes second = bounded((r2 - r1 * r1) / rest1, zero - 0.999, zero + 0.999);
  Lanes first = r1 * (one - second);
  const Integers is_stiff = one - first - second < 0.05;
  const Lanes alone = lesser(greater(zero, r1), zero + 0.95);
  const Lanes rest = is_stiff ? one - alone * alone : rest1 * (one - second * second);
  first = is_stiff ? alone : first;
  second = is_stiff ? zero : second;

  // The pools before count this much at most.
  const Lanes most = 6.0 * greater(__builtin_elementwise_sqrt(variance), pool.floor);
  const Lanes reference1 = bounded((last - reference) * last_root, -most, most);
  const Lanes reference2 = bounded((last2 - reference) * last_root2, -most, most);
  const Lanes u = (pool.value - mean) * pool.root;
  const Lanes before = (last - mean) * last_root, u1 = bounded(before, -most, most);
  const Lanes u2 = bounded((last2 - mean) * last_root2, -most, most);
  const Lanes found = u - first * u1 - second * u2;
  const Lanes news =
      (pool.value - reference) * pool.root - first * reference1 - second * reference2;
  const Lanes plain = variance * rest;
  const Lanes deviation = greater(
      __builtin_elementwise_sqrt(lesser(greater(long_run, 0.4 * plain), 4.0 * plain)), pool.floor);
  const Lanes z = bounded(news / deviation, zero - 6.0, zero + 6.0);
  const double limit = rule.threshold + 6.0;
  const ChartSide<is_full> above(charts, CHART_ABOVE, z, limit);
  const ChartSide<is_full> below(charts, CHART_BELOW, -z, limit);
  // The phase stays, and a pool from which the chart learns is not limited itself.
  const Integers is_high = above.new_score > rule.threshold;
  const Integers is_low = below.new_score > rule.threshold;
  const Lanes bound = 36.0 * (1 - 1e-9) * greater(variance, pool.floor * pool.floor);
  const Integers drifts = (phase == 1) | (phase == 2);
  const Integers stays = ((phase == 1) & ~is_low & (above.new_score != zero)) |
                         ((phase == 2) & ~is_high & (below.new_score != zero));
  const Integers is_near = (u * u <= bound) & (found * found <= bound * rest);
  const Integers done = active & (pools > 100) &
                        ((~drifts & is_near & ~is_high & ~is_low) | (stays & (variance > zero)));
  if (!any_of(done)) return done;
  above.store(charts, CHART_ABOVE, CHART_ABOVE_BATCH, done, pool, place);
  below.store(charts, CHART_BELOW, CHART_BELOW_BATCH, done, pool, place);

  // The chart learns from the pool (`DriftSpread.learn`).
  const PoolWeights<Lanes> weights = in_force.of(pools, pool.slow_weight);
  Lanes new_variance = variance + weights.variance * (u * u - variance);
  Lanes new_covariance = covariance + weights.covariance * (u * u1 - covariance);
  Lanes new_covariance2 = covariance2 + weights.covariance2 * (u * u2 - covariance2);
  const Lanes square = found * (found + 1.5 * last_new + 1.0 * last_new2);
  Lanes new_long_run = long_run + weights.long_run * (square - long_run);
  if (any_of(done & drifts)) {
    // By the difference of neighbours (`DriftSpread.learnMoving`).
    const Lanes difference = bounded(u - before, -most, most);
    const Lanes correlation = lesser(greater(zero, covariance / variance), zero + 0.95);
    const Lanes half = 0.5 * difference * difference / (one - correlation);
    const Lanes growth = one + weights.variance * (half / variance - one);
    new_variance = drifts ? variance * growth : new_variance;
    new_covariance = drifts ? covariance * growth : new_covariance;
    new_covariance2 = drifts ? covariance2 * growth : new_covariance2;
    new_long_run = drifts ? long_run * growth : new_long_run;
  }
  const Lanes new_mean = mean + weights.mean * (pool.value - mean);
  // A chart whose reference stands still learns nothing while it drifts.
  const Integers learns = rule.follows ? done : done & ~drifts;
  charts.set_real(CHART_VARIANCE, learns, new_variance, variance);
  charts.set_real(CHART_COVARIANCE, learns, bounded(new_covariance, -new_variance, new_variance),
                  covariance);
  charts.set_real(CHART_COVARIANCE2, learns, bounded(new_covariance2, -new_variance, new_variance),
                  covariance2);
  charts.set_real(CHART_LONG_RUN, learns, new_long_run, long_run);
  charts.set_real(CHART_LAST_NEW2, done & ~drifts, last_new, last_new2);
  charts.set_real(CHART_LAST_NEW, done & ~drifts, found, last_new);
  charts.set_real(CHART_MEAN, learns, new_mean, mean);
  Integers follows = learns & (charts.count(CHART_GIVEN) == 0);
  if (!rule.follows) follows &= pools < 1000;
  charts.set_real(CHART_REFERENCE, follows, new_mean, reference);
  charts.set_real(CHART_LAST2, done, last, last2);
  charts.set_real(CHART_LAST_ROOT2, done, last_root, last_root2);
  charts.set_real(CHART_LAST, done, pool.value, last);
  charts.set_real(CHART_LAST_ROOT, done, pool.root, last_root);
  // A chart that is done is -1 here.
  charts.set_count(CHART_POOLS, pools - done);
  return done;
}

// Notes the charts of a group that are left; returns how many.
INLINED size_t note_left(Integers done, size_t count, uint8_t flag, uint8_t *left) {
  const unsigned present = count < 8 ? (1U << count) - 1 : 0xff;
  const unsigned found = ~bits_of(done) & present;
  for (unsigned rest = found; rest != 0; rest &= rest - 1) left[__builtin_ctz(rest)] |= flag;
  return static_cast<size_t>(__builtin_popcount(found));
}

inline size_t observe_shares(ChartColumns columns, size_t row, size_t count, ChartPools pools,
                             double floor, ChartRule rule, ChartPlace place, uint8_t *left) {
  size_t found = 0;
  WeightsInForce in_force;
  for_each_eight(count, [&](size_t index, auto is_full) INLINED_LAMBDA {
    constexpr bool full = decltype(is_full)::value;
    const size_t rest = count - index;
    PoolLanes pool;
    pool.value = load_some<full>(pools.values + index, rest);
    pool.weight = load_some<full>(pools.weights + index, rest);
    pool.root = __builtin_elementwise_sqrt(pool.weight);
    pool.slow_weight = load_some<full>(pools.slow_weights + index, rest);
    pool.floor = Lanes{} + floor;
    const Integers done = observe_group<full>(ChartGroup<full>{columns, row + index, rest},
                                              pool.value == pool.value, pool, rule, place, in_force);
    found += note_left(done, rest, 1, left + index);
  });
  return found;
}

inline size_t observe_moments(ChartColumns columns, size_t count, ChartMoments moments,
                              ChartRule rule, ChartPlace place, uint8_t *left) {
  const double least_deviation = 1e-3, least_logarithm = -6.907755278982137;
  size_t found = 0;
  WeightsInForce in_force;
  for_each_eight(count, [&](size_t index, auto is_full) INLINED_LAMBDA {
    constexpr bool full = decltype(is_full)::value;
    const size_t rest = count - index;
    const Lanes zero{};
    const Lanes weight = load_some<full>(moments.weights + index, rest);
    const Lanes mean = load_some<full>(moments.means + index, rest);
    const Lanes squares = load_some<full>(moments.squares + index, rest);
    // A batch that is a pool by itself.
    const Integers active =
        (weight >= 32.0) & (load_some<full>(moments.open + index, rest) == zero);
    const ChartGroup<full> means{columns, index, rest}, spreads{columns, count + index, rest};
    PoolLanes pool;
    pool.weight = weight;
    pool.root = __builtin_elementwise_sqrt(weight);
    pool.slow_weight = load_some<full>(moments.slow_weights + index, rest);
    const Lanes least = greater((mean < zero ? -mean : mean) * 1e-12, zero + 0x1p-1022);
    const Lanes own =
        greater(__builtin_elementwise_sqrt(squares / weight), least);
    const Lanes reference = spreads.real(CHART_REFERENCE);
    const Lanes deviation = greater(exponential(reference), least);
    pool.value = mean;
    pool.floor = least_deviation * deviation * pool.root;
    const Integers mean_done = observe_group<full>(means, active, pool, rule, place, in_force);
    pool.value = greater(logarithm(own), reference + least_logarithm);
    pool.floor = least_deviation * pool.root;
    // A mean that is left needs the reference of the deviation as it was.
    const Integers spread_done =
        observe_group<full>(spreads, mean_done, pool, rule, place, in_force);
    found += note_left(mean_done, rest, 1, left + index);
    found += note_left(spread_done, rest, 2, left + index);
  });
  return found;
}
