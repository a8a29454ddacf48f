// The loops; compiled once for each kind of instructions, so there is no guard against a second
// inclusion. Invariants:
// - Everything is computed in double, in the same operations and order whatever the instructions:
//   no multiplication and addition is fused.
// - Value i of a column goes to lane i mod 8, in order; the eight lanes l fold as
//   ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)).
// - The last group is padded with missing values.

template <class Value>
using Group __attribute__((vector_size(8 * sizeof(Value)))) = Value;

template <class Value>
INLINED Group<Value> load(const Value *values) {
  Group<Value> group;
  __builtin_memcpy(&group, values, sizeof(group));
  return group;
}

template <class Value>
INLINED Group<Value> load_rest(const Value *values, size_t count,
                               Value padding = static_cast<Value>(__builtin_nan(""))) {
  Group<Value> group = Group<Value>{} + padding;
  for (size_t i = 0; i < count; ++i) group[i] = values[i];
  return group;
}

// Folds eight lanes into one, half upon half.
template <class Group, class Combine>
INLINED auto folded(Group lanes, Combine combine) {
  const auto four = combine(__builtin_shufflevector(lanes, lanes, 0, 1, 2, 3),
                            __builtin_shufflevector(lanes, lanes, 4, 5, 6, 7));
  const auto two = combine(__builtin_shufflevector(four, four, 0, 1),
                           __builtin_shufflevector(four, four, 2, 3));
  return combine(two[0], two[1]);
}

INLINED double fold(Lanes lanes) {
  return folded(lanes, [](auto a, auto b) INLINED_LAMBDA { return a + b; });
}

// A bit for each lane of a mask.
INLINED unsigned bits_of(Integers mask) {
  typedef bool Bits __attribute__((ext_vector_type(8)));
  const Bits bits = __builtin_convertvector(mask, Bits);
  uint8_t byte;
  __builtin_memcpy(&byte, &bits, sizeof(byte));
  return byte;
}

INLINED bool any_of(Integers mask) { return bits_of(mask) != 0; }

template <class Value, class Visit>
INLINED void for_each_group(const Value *values, size_t count, Visit visit) {
  size_t index = 0;
  for (; index + 8 <= count; index += 8) visit(load(values + index), false);
  if (index < count) visit(load_rest(values + index, count - index), true);
}

template <class Value>
double sum(const Value *values, size_t count) {
  Lanes sum{};
  size_t index = 0;
  for (; index + 8 <= count; index += 8) {
    sum += __builtin_convertvector(load(values + index), Lanes);
  }
  if (index < count) {
    // Padded with zeros, so that a value that is missing here shows, too.
    sum += __builtin_convertvector(load_rest(values + index, count - index, Value(0)), Lanes);
  }
  return fold(sum);
}

template <class Value>
ColumnSums sums(const Value *values, size_t count) {
  const Value infinity = static_cast<Value>(__builtin_inf());
  Lanes sum{};
  Group<Value> minima = Group<Value>{} + infinity, maxima = Group<Value>{} - infinity;
  auto missing = minima != minima;
  for_each_group(values, count, [&](Group<Value> group, bool) INLINED_LAMBDA {
    // A comparison with NaN is false, so missing values leave the extremes alone.
    minima = group < minima ? group : minima;
    maxima = group > maxima ? group : maxima;
    missing += group != group;
    sum += __builtin_convertvector(group == group ? group : Group<Value>{}, Lanes);
  });
  const auto present_count = static_cast<int64_t>((count + 7) / 8 * 8) +
                             folded(missing, [](auto a, auto b) INLINED_LAMBDA { return a + b; });
  const auto least = folded(minima, [](auto a, auto b) INLINED_LAMBDA { return a < b ? a : b; });
  const auto greatest =
      folded(maxima, [](auto a, auto b) INLINED_LAMBDA { return a > b ? a : b; });
  return ColumnSums{present_count, fold(sum), least, greatest};
}

template <bool has_missing, class Value>
ColumnDeviations deviations(const Value *values, size_t count, double center) {
  const Lanes centers = Lanes{} + center;
  Lanes sum{}, squares{};
  for_each_group(values, count, [&](Group<Value> group, bool is_padded) INLINED_LAMBDA {
    const Lanes lanes = __builtin_convertvector(group, Lanes);
    Lanes deviation = lanes - centers;
    if (has_missing || is_padded) deviation = lanes == lanes ? deviation : Lanes{};
    sum += deviation;
    squares += deviation * deviation;
  });
  return ColumnDeviations{fold(sum), fold(squares)};
}

// Visits groups of values and their weights. A missing value has weight 0 and is 0.
template <class Value, class Visit>
INLINED void for_each_weighted(const Value *values, const double *weights, size_t count,
                               Visit visit) {
  size_t index = 0;
  for (; index < count; index += 8) {
    const size_t rest = count - index;
    const Group<Value> group = rest >= 8 ? load(values + index) : load_rest(values + index, rest);
    const Lanes weight = rest >= 8 ? load(weights + index) : load_rest(weights + index, rest, 0.0);
    const Lanes lanes = __builtin_convertvector(group, Lanes);
    visit(lanes == lanes ? lanes : Lanes{}, lanes == lanes ? weight : Lanes{});
  }
}

template <class Value>
ColumnWeightedSums weighted_sums(const Value *values, const double *weights, size_t count) {
  Lanes sum{}, total{}, squares{};
  Lanes minima = Lanes{} + __builtin_inf(), maxima = Lanes{} - __builtin_inf();
  auto counted = minima != minima;
  for_each_weighted(values, weights, count, [&](Lanes lanes, Lanes weight) INLINED_LAMBDA {
    const auto counts = weight > Lanes{};
    minima = (counts & (lanes < minima)) ? lanes : minima;
    maxima = (counts & (lanes > maxima)) ? lanes : maxima;
    counted += counts;
    sum += weight * lanes;
    total += weight;
    squares += weight * weight;
  });
  const auto counted_count =
      -folded(counted, [](auto a, auto b) INLINED_LAMBDA { return a + b; });
  const auto least = folded(minima, [](auto a, auto b) INLINED_LAMBDA { return a < b ? a : b; });
  const auto greatest =
      folded(maxima, [](auto a, auto b) INLINED_LAMBDA { return a > b ? a : b; });
  return ColumnWeightedSums{counted_count, fold(sum), fold(total), fold(squares), least, greatest};
}

template <class Value>
ColumnDeviations weighted_deviations(const Value *values, const double *weights, size_t count,
                                     double center) {
  const Lanes centers = Lanes{} + center;
  Lanes sum{}, squares{};
  for_each_weighted(values, weights, count, [&](Lanes lanes, Lanes weight) INLINED_LAMBDA {
    const Lanes deviation = lanes - centers;
    sum += weight * deviation;
    squares += weight * deviation * deviation;
  });
  return ColumnDeviations{fold(sum), fold(squares)};
}

// Replaces the values by groups.
template <class Value, class Map>
INLINED void replace_groups(Value *values, size_t count, Map map) {
  size_t index = 0;
  for (; index + 8 <= count; index += 8) {
    const Group<Value> group = map(load(values + index));
    __builtin_memcpy(values + index, &group, sizeof(group));
  }
  if (index == count) return;
  const Group<Value> rest = map(load_rest(values + index, count - index));
  for (size_t i = 0; i < count - index; ++i) values[index + i] = rest[i];
}

template <class Value>
int64_t map(Value *values, size_t count, ColumnMap map) {
  const Lanes center = Lanes{} + map.center, scale = Lanes{} + map.scale,
              shift = Lanes{} + map.shift;
  const bool is_clipped = map.low != -__builtin_inf() || map.high != __builtin_inf();
  if (!is_clipped && !map.has_missing) {
    replace_groups(values, count, [&](Group<Value> group) INLINED_LAMBDA {
      const Lanes lanes = __builtin_convertvector(group, Lanes);
      return __builtin_convertvector((lanes - center) * scale + shift, Group<Value>);
    });
    return 0;
  }
  const Lanes low = Lanes{} + map.low, high = Lanes{} + map.high;
  const bool fills = map.fill == map.fill;
  const Group<Value> fill = Group<Value>{} + static_cast<Value>(map.fill);
  auto clipped = low != low;
  replace_groups(values, count, [&](Group<Value> group) INLINED_LAMBDA {
    Lanes deviation = __builtin_convertvector(group, Lanes) - center;
    clipped += (deviation < low) | (deviation > high);
    deviation = deviation < low ? low : deviation;
    deviation = deviation > high ? high : deviation;
    const auto mapped = __builtin_convertvector(deviation * scale + shift, Group<Value>);
    return group == group ? mapped : fills ? fill : group;
  });
  return -folded(clipped, [](auto a, auto b) INLINED_LAMBDA { return a + b; });
}
