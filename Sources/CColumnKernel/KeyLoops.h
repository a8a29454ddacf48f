// The loops over the moments of keys, a row of features at a time; compiled once for each kind of instructions. No
// lane depends on another one, so that every kind gives the same bits.

// `is_full`: all eight; known when it is compiled, so that the loops over full groups have no branch.
template <bool is_full>
INLINED Lanes load_some(const double *values, size_t count) {
  return is_full ? load(values) : load_rest(values, count);
}

template <bool is_full>
INLINED void store_some(double *values, Lanes lanes, size_t count) {
  if (is_full) {
    __builtin_memcpy(values, &lanes, sizeof(lanes));
  } else {
    for (size_t i = 0; i < count; ++i) values[i] = lanes[i];
  }
}

// Calls `visit` with the place of each group of eight of `count` values, and whether it is full.
template <class Visit>
INLINED void for_each_eight(size_t count, Visit visit) {
  size_t index = 0;
  for (; index + 8 <= count; index += 8) visit(index, std::true_type());
  if (index < count) visit(index, std::false_type());
}

INLINED Lanes held(Lanes value, Lanes least, Lanes greatest) {
  value = value < least ? least : value;
  return value > greatest ? greatest : value;
}

// Chan, Golub & LeVeque 1979: the moments of a key merged with `prior` values of those of all records.
template <bool shares_weight>
void key_plan_row(KeyRow row, double factor, KeyRow whole, const KeyBounds *bounds,
                  const double *gammas, KeyRule rule, size_t count, KeyTransforms out) {
  const Lanes zero{}, prior = zero + rule.prior, infinity = zero + __builtin_inf();
  // One division for the key if all of its features weigh the same.
  const double one_weight = row.weights[0] * factor, one_total = one_weight + rule.prior;
  Lanes weight = zero + one_weight;
  Lanes share = zero + one_weight / one_total, other = zero + rule.prior / one_total;
  for_each_eight(count, [&](size_t index, auto is_full) INLINED_LAMBDA {
    constexpr bool full = decltype(is_full)::value;
    const size_t rest = count - index;
    if (!shares_weight) {
      weight = load_some<full>(row.weights + index, rest) * factor;
      const Lanes total = weight + prior;
      share = weight / total;
      other = prior / total;
    }
    const Lanes mean = load_some<full>(row.means + index, rest);
    const Lanes whole_mean = load_some<full>(whole.means + index, rest);
    const Lanes whole_variance = load_some<full>(whole.variances + index, rest);
    const Lanes delta = mean - whole_mean;
    Lanes variance = share * load_some<full>(row.variances + index, rest) +
                     other * whole_variance + share * other * delta * delta;
    // From the heavier side, so that neither a small n nor a small prior costs digits.
    Lanes center = share < other ? whole_mean + share * delta : mean - other * delta;
    if (bounds) {
      center = held(center, load_some<full>(bounds->least_means + index, rest),
                    load_some<full>(bounds->greatest_means + index, rest));
      variance = held(variance, load_some<full>(bounds->least_variances + index, rest),
                      load_some<full>(bounds->greatest_variances + index, rest));
    }
    const Lanes floor = zero + rule.variance_floor;
    const Lanes least = variance < floor ? floor : variance;
    const Lanes deviation =
        __builtin_elementwise_sqrt(least * (1 + rule.epsilon_share) + rule.epsilon_added);
    const Lanes gamma = load_some<full>(gammas + index, rest);
    const Lanes scale = rule.divides ? (deviation > zero ? gamma / deviation : zero) : gamma;
    // Values that were all the same tell no deviation.
    const auto counts = (weight > zero) & (variance > zero);
    store_some<full>(out.centers + index, center, rest);
    store_some<full>(out.reaches + index, deviation > zero ? rule.clip * deviation : infinity, rest);
    store_some<full>(out.scales + index, counts ? scale : zero + __builtin_nan(""), rest);
  });
}

// West 1979: one more value of each feature; a missing one changes nothing. If the features share their weight, none is
// missing.
template <bool shares_weight>
void key_add_row(MutableKeyRow row, const double *values, double kept, double added,
                 size_t count) {
  const Lanes zero{}, one = zero + 1;
  const double one_weight = row.weights[0] * kept + added;
  Lanes share = zero + added / one_weight;
  for_each_eight(count, [&](size_t index, auto is_full) INLINED_LAMBDA {
    constexpr bool full = decltype(is_full)::value;
    const size_t rest = count - index;
    const Lanes x = load_some<full>(values + index, rest);
    const auto is_present = x == x;
    if (!shares_weight) {
      const Lanes old_weight = load_some<full>(row.weights + index, rest);
      const Lanes weight = old_weight * kept + added;
      share = added / weight;
      store_some<full>(row.weights + index, is_present ? weight : old_weight, rest);
    }
    const Lanes old_mean = load_some<full>(row.means + index, rest);
    const Lanes old_variance = load_some<full>(row.variances + index, rest);
    const Lanes delta = x - old_mean;
    const Lanes mean = share == one ? x : old_mean + share * delta;
    const Lanes variance = (one - share) * (old_variance + share * delta * delta);
    store_some<full>(row.means + index, is_present ? mean : old_mean, rest);
    store_some<full>(row.variances + index, is_present ? variance : old_variance, rest);
  });
  if (shares_weight) row.weights[0] = one_weight;
}

// Adds up the present values of each key, and counts them. A record with a number below 0 counts for nothing.
inline void key_sums_rows(const double *values, const int32_t *numbers, size_t count, size_t width,
                          double *sums, double *counts) {
  for (size_t i = 0; i < count; ++i) {
    if (numbers[i] < 0) continue;
    const size_t cell = static_cast<size_t>(numbers[i]) * width;
    for_each_eight(width, [&](size_t index, auto is_full) INLINED_LAMBDA {
      constexpr bool full = decltype(is_full)::value;
      const size_t rest = width - index;
      const Lanes zero{}, x = load_some<full>(values + i * width + index, rest);
      double *sum = sums + cell + index, *found = counts + cell + index;
      store_some<full>(sum, load_some<full>(sum, rest) + (x == x ? x : zero), rest);
      store_some<full>(found, load_some<full>(found, rest) + (x == x ? zero + 1.0 : zero), rest);
    });
  }
}

// |m - mean| > reach * deviation * sqrt(1/n + 1/weight), without a division.
template <bool shares_weight>
void key_away_row(KeyRow row, const double *sums, const double *counts, double least,
                  double square_reach, size_t width, double *judged, double *away) {
  for_each_eight(width, [&](size_t index, auto is_full) INLINED_LAMBDA {
    constexpr bool full = decltype(is_full)::value;
    const size_t rest = width - index;
    const Lanes zero{}, one = zero + 1.0;
    const Lanes weight =
        shares_weight ? zero + row.weights[0] : load_some<full>(row.weights + index, rest);
    const Lanes variance = load_some<full>(row.variances + index, rest);
    const Lanes n = load_some<full>(counts + index, rest);
    const Lanes distance =
        load_some<full>(sums + index, rest) - n * load_some<full>(row.means + index, rest);
    const auto is_judged = (n > zero) & (weight >= least) & (variance > zero);
    const auto is_away =
        distance * distance * weight > square_reach * variance * n * (n + weight);
    store_some<full>(judged + index,
                     load_some<full>(judged + index, rest) + (is_judged ? one : zero), rest);
    store_some<full>(away + index,
                     load_some<full>(away + index, rest) + ((is_judged & is_away) ? one : zero),
                     rest);
  });
}

// Eight rows of eight numbers become eight columns.
template <class Group>
INLINED void transpose(Group (&tile)[8]) {
  for (int i = 0; i < 8; i += 2) {
    const Group a = tile[i], b = tile[i + 1];
    tile[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    tile[i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int j = 0; j < 4; ++j) {
    const int i = (j & 1) + 4 * (j >> 1);
    const Group a = tile[i], b = tile[i + 2];
    tile[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
    tile[i + 2] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    const Group a = tile[i], b = tile[i + 4];
    tile[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    tile[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// The values of up to eight features in up to eight records, a row a feature; missing beyond them.
template <bool is_full, class Value>
INLINED void load_tile(const Value *values, size_t capacity, size_t features, size_t records,
                       Group<Value> (&tile)[8]) {
  for (size_t f = 0; f < 8; ++f) {
    if (is_full) {
      tile[f] = load(values + f * capacity);
    } else {
      tile[f] = f < features ? load_rest(values + f * capacity, records)
                             : Group<Value>{} + static_cast<Value>(__builtin_nan(""));
    }
  }
}

template <bool is_full, class Value>
INLINED void key_rows_tile(const Value *values, size_t capacity, size_t features, size_t records,
                           double *rows, size_t width) {
  Group<Value> tile[8];
  load_tile<is_full>(values, capacity, features, records, tile);
  transpose(tile);
  for (size_t r = 0; r < (is_full ? 8 : records); ++r) {
    store_some<is_full>(rows + r * width, __builtin_convertvector(tile[r], Lanes), features);
  }
}

template <class Value>
void key_rows(const Value *values, size_t capacity, size_t count, size_t width, double *rows) {
  for (size_t i = 0; i < count; i += 8) {
    const size_t records = count - i < 8 ? count - i : 8;
    for (size_t j = 0; j < width; j += 8) {
      const size_t features = width - j < 8 ? width - j : 8;
      const Value *from = values + j * capacity + i;
      double *to = rows + i * width + j;
      if (records == 8 && features == 8) {
        key_rows_tile<true>(from, capacity, features, records, to, width);
      } else {
        key_rows_tile<false>(from, capacity, features, records, to, width);
      }
    }
  }
}

// The maps of all records for eight features.
struct WholeLanes {
  Lanes center{}, low{}, high{}, scale{}, shift{}, fill{};
};

template <bool is_full, class Value>
INLINED Lanes key_map_tile(Value *values, size_t capacity, size_t features, size_t records,
                           const int32_t *numbers, KeyTransforms keys, size_t width,
                           WholeLanes whole, const bool *is_by_key, bool is_centred) {
  const Lanes zero{};
  const auto imputes = whole.fill == whole.fill;
  Group<Value> tile[8], before[8];
  load_tile<is_full>(values, capacity, features, records, tile);
  __builtin_memcpy(&before, &tile, sizeof(tile));
  transpose(tile);
  Lanes limited{};
  for (size_t r = 0; r < (is_full ? 8 : records); ++r) {
    Lanes center = whole.center, low = whole.low, high = whole.high;
    Lanes scale = whole.scale, fill = whole.fill;
    if (numbers[r] >= 0) {
      const size_t cell = static_cast<size_t>(numbers[r]) * width;
      const Lanes own = load_some<is_full>(keys.scales + cell, features);
      const Lanes mean = load_some<is_full>(keys.centers + cell, features);
      const Lanes reach = load_some<is_full>(keys.reaches + cell, features);
      const auto is_own = own == own;
      const Lanes middle = is_centred ? zero : mean;
      scale = is_own ? own : scale;
      center = is_own ? (is_centred ? mean : zero) : center;
      low = is_own ? middle - reach : low;
      high = is_own ? middle + reach : high;
      if (!is_centred) fill = is_own & imputes ? mean * own + whole.shift : fill;
    }
    const Lanes x = __builtin_convertvector(tile[r], Lanes);
    Lanes deviation = x - center;
    limited += ((deviation < low) | (deviation > high)) ? zero + 1 : zero;
    deviation = deviation < low ? low : deviation;
    deviation = deviation > high ? high : deviation;
    tile[r] = __builtin_convertvector(x == x ? deviation * scale + whole.shift : fill, Group<Value>);
  }
  transpose(tile);
  for (size_t f = 0; f < (is_full ? 8 : features); ++f) {
    if (!is_by_key[f]) continue;
    // A missing value that stays keeps its bits.
    const Group<Value> kept = imputes[f] ? tile[f] : (before[f] == before[f] ? tile[f] : before[f]);
    if (is_full) {
      __builtin_memcpy(values + f * capacity, &kept, sizeof(kept));
    } else {
      for (size_t r = 0; r < records; ++r) values[f * capacity + r] = kept[r];
    }
  }
  return limited;
}

template <class Value>
void key_map(Value *values, size_t capacity, size_t count, const int32_t *numbers,
             KeyTransforms keys, size_t width, const ColumnMap *wholes, const bool *is_by_key,
             bool is_centred, int64_t *clipped) {
  for (size_t j = 0; j < width; j += 8) {
    const size_t features = width - j < 8 ? width - j : 8;
    WholeLanes whole;
    for (size_t f = 0; f < features; ++f) {
      const ColumnMap map = wholes[j + f];
      whole.center[f] = map.center, whole.low[f] = map.low, whole.high[f] = map.high;
      whole.scale[f] = map.scale, whole.shift[f] = map.shift, whole.fill[f] = map.fill;
    }
    const KeyTransforms from = {keys.centers + j, keys.reaches + j, keys.scales + j};
    Lanes limited{};
    for (size_t i = 0; i < count; i += 8) {
      const size_t records = count - i < 8 ? count - i : 8;
      Value *tile = values + j * capacity + i;
      limited += records == 8 && features == 8
                     ? key_map_tile<true>(tile, capacity, features, records, numbers + i, from,
                                          width, whole, is_by_key + j, is_centred)
                     : key_map_tile<false>(tile, capacity, features, records, numbers + i, from,
                                           width, whole, is_by_key + j, is_centred);
    }
    for (size_t f = 0; f < features; ++f) {
      if (is_by_key[j + f]) clipped[j + f] += static_cast<int64_t>(limited[f]);
    }
  }
}
