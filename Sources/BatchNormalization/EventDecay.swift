internal import Glibc
internal import Records

/// How much values weigh at a time by their age: 2^(−age / half-life).
///
/// A time is a number of microseconds since 1970. It is whole, so that a Double holds it exactly.
///
/// Source: Cormode, Shkapenyuk, Srivastava & Xu 2009, "Forward Decay: A Practical Time Decay Model for Streaming
/// Systems".
struct EventDecay: Equatable {
  /// In seconds.
  let halfLife: Double

  /// The whole microseconds up to a time in nanoseconds.
  static func microseconds(_ nanoseconds: Int64) -> Double {
    let (quotient, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1000)
    return Double(rest < 0 ? quotient - 1 : quotient)
  }

  /// The weight of a value at `time`.
  ///
  /// - Parameter nanoseconds: the time of the value.
  func weight(of nanoseconds: Int64, at time: Double) -> Double {
    guard nanoseconds != RoleNumbers.noTime else { return 0 }
    return factor(fromNanoseconds: nanoseconds, to: Int64(time) * 1000)
  }

  /// The factor by which weights change from one time to another, in nanoseconds.
  func factor(fromNanoseconds earlier: Int64, to later: Int64) -> Double {
    guard earlier != later else { return 1 }
    // In integers, since the difference may be a part of a microsecond. Over 292 years it does not fit, nor matter.
    let (difference, overflow) = earlier.subtractingReportingOverflow(later)
    let nanoseconds = overflow ? Double(earlier) - Double(later) : Double(difference)
    return exp2(nanoseconds / (1e9 * halfLife))
  }

  /// The factor by which weights change from one time to a later one.
  func factor(from earlier: Double, to later: Double) -> Double {
    exp2((earlier - later) / (1e6 * halfLife))
  }
}

/// The weights of the records of a batch at the time of its newest one.
struct EventWeights {
  /// The weight of each record of the batch, its own weight included.
  private(set) var weights: [Double] = []
  /// The newest time, in whole microseconds; nil if no record has a time.
  private(set) var newest: Double?

  /// Takes the times and the weights of some records.
  mutating func measure(
    _ roles: RoleNumbers, _ records: Range<Int>, _ decay: EventDecay
  ) {
    weights.removeAll(keepingCapacity: true)
    newest = nil
    guard let times = roles.times else { return }
    var latest = RoleNumbers.noTime
    for record in records { latest = max(latest, times[record]) }
    let time = latest == RoleNumbers.noTime ? 0 : EventDecay.microseconds(latest)
    if latest != RoleNumbers.noTime { newest = time }
    // Records that follow each other often have one time.
    var last = (time: RoleNumbers.noTime, weight: 0.0)
    for record in records {
      if times[record] != last.time {
        last = (times[record], decay.weight(of: times[record], at: time))
      }
      weights.append(last.weight * (roles.weights?[record] ?? 1))
    }
  }
}
