internal import Configuration
internal import Records
internal import State

/// A record whose event time is too far in the future, or absent.
package struct FutureRecord: Sendable, Equatable {
  /// The index of the record in its block.
  package let record: Int
  /// The expected time and the one that was found, in words.
  package let expected, found: String
}

/// Refuses records from the future: those later than max(newest accepted time, clock bound) + `time.future_limit`.
///
/// The clock bound is the wall clock as the state has it. It is read again before a record is refused, and not for
/// others. So a run that resumes at a checkpoint accepts at least the records that the earlier run accepted.
struct EventClock: Sendable {
  /// The newest accepted time, in whole microseconds since 1970, and the clock bound, in seconds since 1970.
  private let newest, bound: RealColumn
  /// In nanoseconds.
  private let limit: Int64

  init(in table: borrowing StateTable, _ settings: SettingValues) {
    newest = table.real("newest", of: "event_time")
    bound = table.real("clock", of: "event_time")
    limit = Int64(settings[NormalizeSettings.futureLimit] * 1e9)
  }

  static let group = StateGroup(
    "event_time", scope: .stream,
    columns: [
      .real("newest", initial: 0, in: StateColumn.microseconds), .real("clock", initial: 0),
    ], isOptional: true,
    merge: { rows, other throws(StateError) in
      for column in ["newest", "clock"] {
        rows[real: column][0] = max(rows[real: column][0], other[real: column][0])
      }
    })

  /// The records of the future. The newest accepted time stays as it is: another reason may refuse a record too.
  func refused(
    _ times: [Int64], _ records: Range<Int>, _ state: inout StateTable,
    wallSeconds: () -> Double?
  ) -> [FutureRecord] {
    var refused: [FutureRecord] = []
    var newestTime = Int64(state[newest][0]) * 1000
    var latest = latestTime(newestTime, state[bound][0])
    for record in records where times[record] != RoleNumbers.noTime {
      let time = times[record]
      guard time != RoleNumbers.absentTime else {
        refused.append(
          FutureRecord(record: record, expected: "a message with a timestamp", found: "none"))
        continue
      }
      if time > latest, let seconds = wallSeconds() {
        state[bound][0] = seconds
        latest = latestTime(newestTime, seconds)
      }
      guard time <= latest else {
        refused.append(
          FutureRecord(
            record: record,
            expected: "a time up to \(EventTime.text(nanoseconds: latest)), "
              + "time.future_limit after the clock and the newest record",
            found: EventTime.text(nanoseconds: time)))
        continue
      }
      if time > newestTime {
        newestTime = time
        latest = latestTime(newestTime, state[bound][0])
      }
    }
    return refused
  }

  /// Notes the newest time of records that count.
  func accept(_ times: [Int64], _ records: Range<Int>, _ state: inout StateTable) {
    var newestTime = Int64(state[newest][0]) * 1000
    for record in records where times[record] != RoleNumbers.noTime {
      newestTime = max(newestTime, times[record])
    }
    // Down to whole microseconds, as the state has it.
    state[newest][0] = Double(newestTime / 1000)
  }

  private func latestTime(_ newest: Int64, _ seconds: Double) -> Int64 {
    let clock = Int64(min(max(seconds, 0), 9e9) * 1e6) * 1000
    return min(max(newest, clock), EventTime.range.upperBound) + limit
  }
}
