internal import Records

/// The bounds within which a decoder looks at records before it chooses features.
package enum LookAhead {
  package static let mostRecords = 1024
  /// The bytes that the records have together; the first one may have more.
  package static let mostBytes = 1 << 20
  /// Live streams: the time that they take, if `max_delay` does not end it sooner.
  package static let mostSeconds = 10.0
}

/// The kinds and the order of the values of one column so far.
struct ColumnProfile: Equatable, Sendable {
  /// One value, as it is spelled.
  enum Value: Equatable {
    case missing
    /// An integer is spelled without a point and an exponent.
    case number(Double, isInteger: Bool)
    case other
  }

  /// So many integers must keep to one direction before they count as ids or times: eight values in any order
  /// are in one direction once in 20,000 times.
  static let leastIntegers = 8

  private(set) var numbers = 0
  private var others = 0
  private var areIntegers = true
  private var fall = false
  private var rise = false
  private var last = 0.0

  mutating func take(_ value: Value) {
    switch value {
    case .missing: break
    case .other: others += 1
    case .number(let number, let isInteger):
      areIntegers = areIntegers && isInteger
      if numbers > 0 {
        if number < last { fall = true }
        if number > last { rise = true }
      }
      last = number
      numbers += 1
    }
  }

  /// The values that were not missing.
  var count: Int { numbers + others }
  var isEmpty: Bool { count == 0 }

  /// Whether the column holds no numbers, or mostly others; nil if it can be a feature.
  ///
  /// A few others among numbers do not count: they are bad values, and told as such.
  var unfitness: FeatureChoice.Reason? {
    if others > numbers { return .notNumbers }
    return numbers == 0 ? .noValue : nil
  }

  /// How integers tell that they name or order the records instead of measuring something; nil if they do not.
  var order: FeatureChoice.Reason? {
    guard areIntegers, numbers >= Self.leastIntegers else { return nil }
    switch (rise, fall) {
    case (false, false): return .constant
    case (true, false): return .neverFalls
    case (false, true): return .neverRises
    case (true, true): return nil
    }
  }
}

/// Chooses the features of a stream whose user named none: every column that holds numbers, unless they are
/// integers that name or order the records.
struct FeatureChooser {
  /// A column, or a vector of values that are chosen or left out together.
  struct Candidate {
    var name: String
    /// Why it can be no feature, if it cannot.
    var unfitness: FeatureChoice.Reason?
    /// Why it is none unless no other column is one.
    var order: FeatureChoice.Reason?
  }

  private(set) var chosen: [Int] = []
  private(set) var leftOut: [FeatureChoice.LeftOut] = []

  init(_ candidates: [Candidate]) {
    let fit = candidates.indices.filter { candidates[$0].unfitness == nil }
    chosen = fit.filter { candidates[$0].order == nil }
    // A user who gives nothing but such integers means them.
    if chosen.isEmpty { chosen = fit }
    let taken = Set(chosen)
    for (index, candidate) in candidates.enumerated() where !taken.contains(index) {
      guard let reason = candidate.unfitness ?? candidate.order else { continue }
      leftOut.append(FeatureChoice.LeftOut(candidate.name, because: reason))
    }
  }
}
