// The loops over the moments of keys, a row of features at a time; compiled once for each kind of instructions. No
// lane depends on another one, so that every kind gives the same bits.

INLINED Lanes load_some(const double *values, size_t count) {
  return count >= 8 ? load(values) : load_rest(values, count);
}

INLINED void store_some(double *values, Lanes lanes, size_t count) {
  if (count >= 8) {
    __builtin_memcpy(values, &lanes, sizeof(lanes));
  } else {
    for (size_t i = 0; i < count; ++i) values[i] = lanes[i];
  }
}

// Chan, Golub & LeVeque 1979: the moments of a key merged with `prior` values of those of all records.
void key_plan_row(KeyRow row, double factor, KeyRow whole, const double *gammas,
                          KeyRule rule, size_t count, KeyTransforms out) {
  const Lanes zero{}, prior = zero + rule.prior, infinity = zero + __builtin_inf();
  for (size_t index = 0; index < count; index += 8) {
    const size_t rest = count - index;
    const Lanes weight = load_some(row.weights + index, rest) * factor;
    const Lanes mean = load_some(row.means + index, rest);
    const Lanes whole_mean = load_some(whole.means + index, rest);
    const Lanes whole_variance = load_some(whole.variances + index, rest);
    const Lanes total = weight + prior;
    const Lanes share = weight / total, other = prior / total;
    const Lanes delta = mean - whole_mean;
    const Lanes variance = share * load_some(row.variances + index, rest) +
                           other * whole_variance + share * other * delta * delta;
    // From the heavier side, so that neither a small n nor a small prior costs digits.
    const Lanes center =
        share < other ? whole_mean + share * delta : mean - other * delta;
    const Lanes floor = zero + rule.variance_floor;
    const Lanes least = variance < floor ? floor : variance;
    const Lanes deviation =
        __builtin_elementwise_sqrt(least * (1 + rule.epsilon_share) + rule.epsilon_added);
    const Lanes gamma = load_some(gammas + index, rest);
    const Lanes scale = rule.divides ? (deviation > zero ? gamma / deviation : zero) : gamma;
    // Values that were all the same tell no deviation.
    const auto counts = (weight > zero) & (variance > zero);
    store_some(out.centers + index, center, rest);
    store_some(out.reaches + index, deviation > zero ? rule.clip * deviation : infinity, rest);
    store_some(out.scales + index, counts ? scale : zero + __builtin_nan(""), rest);
  }
}

// West 1979: one more value of each feature; a missing one changes nothing.
void key_add_row(MutableKeyRow row, const double *values, double kept, double added,
                         size_t count) {
  const Lanes one = Lanes{} + 1;
  for (size_t index = 0; index < count; index += 8) {
    const size_t rest = count - index;
    const Lanes x = load_some(values + index, rest);
    const Lanes old_weight = load_some(row.weights + index, rest);
    const Lanes old_mean = load_some(row.means + index, rest);
    const Lanes old_variance = load_some(row.variances + index, rest);
    const Lanes weight = old_weight * kept + added;
    const Lanes share = added / weight;
    const Lanes delta = x - old_mean;
    const Lanes mean = share == one ? x : old_mean + share * delta;
    const Lanes variance = (one - share) * (old_variance + share * delta * delta);
    const auto is_present = x == x;
    store_some(row.weights + index, is_present ? weight : old_weight, rest);
    store_some(row.means + index, is_present ? mean : old_mean, rest);
    store_some(row.variances + index, is_present ? variance : old_variance, rest);
  }
}

template <class Value>
int64_t key_map(Value *values, size_t count, const int32_t *numbers, KeyTransforms keys,
                size_t width, ColumnMap whole, bool is_centred) {
  int64_t clipped = 0;
  const bool imputes = whole.fill == whole.fill;
  for (size_t i = 0; i < count; ++i) {
    double center = whole.center, low = whole.low, high = whole.high;
    double scale = whole.scale, fill = whole.fill;
    const int64_t number = numbers[i];
    if (number >= 0) {
      const size_t cell = static_cast<size_t>(number) * width;
      const double own = keys.scales[cell];
      if (own == own) {
        const double mean = keys.centers[cell], reach = keys.reaches[cell];
        scale = own;
        center = is_centred ? mean : 0;
        const double middle = is_centred ? 0 : mean;
        low = middle - reach;
        high = middle + reach;
        if (!is_centred && imputes) fill = mean * own + whole.shift;
      }
    }
    const double x = static_cast<double>(values[i]);
    if (x != x) {
      // A missing value that stays keeps its bits.
      if (imputes) values[i] = static_cast<Value>(fill);
      continue;
    }
    double deviation = x - center;
    clipped += (deviation < low) | (deviation > high);
    deviation = deviation < low ? low : deviation;
    deviation = deviation > high ? high : deviation;
    values[i] = static_cast<Value>(deviation * scale + whole.shift);
  }
  return clipped;
}
