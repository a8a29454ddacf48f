import BatchNormalization
import Codecs
import Configuration
import Operators
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

/// Streams with a column of event times.
@Suite struct EventTimeTests {
  private static let start = ManualClock.startSeconds

  private static func input(_ times: [String], _ seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    var text = "t,a,b\n"
    for time in times {
      let numbers = (0..<2).map { _ in random.fraction(upTo: 9999, over: 128) }
      text += "\(time),\(numbers[0]),\(numbers[1])\n"
    }
    return Array(text.utf8)
  }

  private static func seconds(_ count: Int, step: Int = 30) -> [String] {
    (0..<count).map { "\(start + $0 * step)" }
  }

  private static func configuration(
    _ format: TimeFormat = .seconds, _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    csvConfiguration {
      $0.batch.size = 5
      $0.precision = .float64
      $0.decoder.features = ["a", "b"].map { FeaturePattern($0) }
      $0.decoder.roles = [RoleColumn(.time(format), name: "t")]
      $0.normalization.momentum = .halfLifeEventTime(300)
      change(&$0)
    }
  }

  private static func clock(_ seconds: Int) -> ManualClock {
    let clock = ManualClock()
    clock.advance(by: Double(seconds - start))
    return clock
  }

  @Test func `a backfill gives what the live stream gave`() throws {
    let input = Self.input(Self.seconds(80), 1)
    let clock = { Self.clock(Self.start) }
    let file = try SerialRun(
      Self.configuration {
        $0.batch.size = 40
        $0.normalization.warmUp.records = 0
      }, input, clock: clock())
    var live = Self.configuration()
    live.isLive = true
    for piece in [13, 100] {
      let run = try SerialRun(live, input, piece: piece, isLive: true, clock: clock())
      let (found, expected) = (
        try #require(run.checkpoint?.runningMean), try #require(file.checkpoint?.runningMean)
      )
      for (found, expected) in zip(found, expected) {
        #expect(abs(found - expected) <= 1e-12 * 100)
      }
    }
  }

  @Test func `a replay from any checkpoint gives the same bytes`() throws {
    let input = Self.input(Self.seconds(60), 2)
    let whole = try SerialRun(Self.configuration(), input, clock: Self.clock(Self.start))
    let header = 6
    for records in [5, 25, 40] {
      let lines = String(decoding: input, as: UTF8.self).split(separator: "\n")
      let head = Array((lines[...records].joined(separator: "\n") + "\n").utf8)
      let first = try SerialRun(Self.configuration(), head, clock: Self.clock(Self.start))
      var state = try #require(first.checkpoint)
      state.input = nil
      let rest = Array(
        (([lines[0]] + lines[(records + 1)...]).joined(separator: "\n") + "\n").utf8)
      let second = try SerialRun(
        Self.configuration(), rest, initial: state, clock: Self.clock(Self.start))
      #expect(first.text + second.text.dropFirst(header) == whole.text, "\(records)")
    }
  }

  @Test func `a bad time makes a bad record`() throws {
    let text = "t,a,b\n2013-01-01T06:00:00Z,1,2\nyesterday,3,4\n2013-02-30,5,6\n2013-01-02,7,8\n"
    let run = try SerialRun(
      Self.configuration(.iso8601) { $0.badRecords = .skip }, Array(text.utf8),
      clock: Self.clock(Self.start))
    let expected = "a time from 1685 to 2255 as iso8601 in column 't'"
    #expect(run.rejected.map(\.fault.expected) == [expected, expected])
    #expect(run.rejected.map(\.fault.found) == ["'yesterday'", "'2013-02-30'"])
    #expect(
      run.lines.map { $0.split(separator: ",").first } == [
        "t", "2013-01-01T06:00:00Z", "2013-01-02", nil,
      ])
  }

  @Test func `a record of the future is refused, after a look at the clock`() throws {
    var times = Self.seconds(12)
    // Three hours after the clock; the next is within the hour after the clock.
    times[4] = "\(Self.start + 3 * 3600)"
    times[7] = "\(Self.start + 3500)"
    // This is within an hour after the newest record.
    times[9] = "\(Self.start + 7000)"
    let input = Self.input(times, 3)
    let skipping = Self.configuration { $0.badRecords = .skip }
    let run = try SerialRun(skipping, input, clock: Self.clock(Self.start))
    #expect(run.rejected.map(\.record) == [5])
    #expect(
      run.rejected.first?.fault.description
        == "expected a time up to 2026-11-22T10:16:30Z, time.future_limit after the clock and the newest record, "
        + "found 2026-11-22T12:15:00Z")
    #expect(throws: StreamError.self) {
      try SerialRun(Self.configuration(), input, clock: Self.clock(Self.start))
    }
    // The clock bound and the newest time are state.
    let state = try #require(run.checkpoint?.state)
    #expect(state[real: "evenkeel.event_time.clock"] == [Double(Self.start)])
    #expect(state[real: "evenkeel.event_time.newest"] == [Double(Self.start + 7000) * 1e6])
    // A clock that stands at 1970 refuses what no accepted record has led to, and a later clock accepts it.
    let late = try SerialRun(skipping, input, clock: Self.clock(Self.start + 86_400))
    #expect(late.rejected.isEmpty)
  }

  @Test(arguments: [1, 3, 100])
  func `a record of the future leaves text, and stays without features in Arrow`(
    piece: Int
  ) throws {
    var times = Self.seconds(12)
    for index in [0, 4, 5, 11] { times[index] = "\(Self.start + 3 * 3600 + index)" }
    let input = Self.input(times, 3)
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["a", "b"]) {
        $0.precision = .float64
        $0.batch.size = piece
      }, input)
    func run(_ from: RecordFormat, _ to: RecordFormat, _ input: [UInt8]) throws -> SerialRun {
      let configuration = Self.configuration {
        $0.format = from
        $0.outputFormat = to
        $0.badRecords = .skip
      }
      return try SerialRun(configuration, input, clock: Self.clock(Self.start))
    }
    let text = try run(.csv, .csv, input)
    let fromArrow = try run(.arrow, .csv, arrow.output)
    #expect(fromArrow.text == text.text)
    let stays = try run(.arrow, .arrow, arrow.output)
    for run in [text, fromArrow, stays] {
      #expect(run.rejected.map(\.record) == [1, 5, 6, 12])
      #expect(run.checkpoint?.state[count: "num_batches_tracked"] == [3])
    }
    let read = try SerialRun(
      betweenFormats(.arrow, .csv, ["a", "b"]) { $0.precision = .float64 }, stays.output)
    var lines = read.lines
    for (index, time) in [(0, times[0]), (4, times[4]), (5, times[5]), (11, times[11])] {
      #expect(lines[index + 1] == "\(time),,")
    }
    for index in [12, 6, 5, 1] { lines.remove(at: index) }
    #expect(
      lines.map { $0.split(separator: ",").first }
        == text.lines.map { $0.split(separator: ",").first })
    for column in 1...2 {
      let (found, expected) = (
        StreamTests.column(column, of: lines.joined(separator: "\n")),
        StreamTests.column(column, of: text.text)
      )
      #expect(found.count == expected.count)
      for (found, expected) in zip(found, expected) {
        #expect(abs(found - expected) <= 1e-12 * max(1, abs(expected)))
      }
    }
  }

  @Test func `streams without event times keep their checkpoints as they are`() throws {
    let plain = csvConfiguration { $0.decoder.features = ["a", "b"].map { FeaturePattern($0) } }
    let run = try SerialRun(plain, Self.input(Self.seconds(10), 4))
    let bytes = try #require(try run.checkpoint?.serialized())
    let file = String(decoding: bytes, as: UTF8.self)
    #expect(!file.contains("decayed_weight") && !file.contains("event_time"))
    let timed = try SerialRun(
      Self.configuration(), Self.input(Self.seconds(10), 4), clock: Self.clock(Self.start))
    let checkpoint = try #require(timed.checkpoint)
    let read = try Checkpoint(serialized: checkpoint.serialized(), .ofOperators)
    for column in ["decayed_weight", "time", "half_life"].map({ "evenkeel.moments.\($0)" }) {
      #expect(read.state[real: column] == checkpoint.state[real: column])
      #expect(read.state[real: column].allSatisfy { $0 > 0 })
    }
    #expect(read.mergeAccuracy == .exact)
  }

  @Test func `the settings are refused with the reason if they have no meaning together`() throws {
    func errors(_ normalize: String, format: String = "csv") throws -> [String] {
      try configurationErrors(
        oneStream("format: \(format)\nnormalize: { \(normalize) }")
      ).map { "\($0)" }
    }
    let good = try onlyStream(
      oneStream(
        "format: csv\nnormalize: { time: { column: t, format: unix_ms }, half_life: { event_time: 10m } }"
      ))
    #expect(good.stream.decoder.roles == [RoleColumn(.time(.milliseconds), name: "t")])
    #expect(good.stream.normalization.momentum == .halfLifeEventTime(600))
    for (text, part) in [
      (
        "half_life: { event_time: 10m }",
        "normalize.half_life.event_time: expected time.column: NAME"
      ),
      ("time: { format: unix_s }", "normalize.time"),
      (
        "time: { column: t }, half_life: { event_time: 10m, records: 5 }",
        "one of momentum and a half-life"
      ),
      (
        "time: { column: t }, half_life: { event_time: 10m }, estimator: batch_norm",
        "expected estimator: total, found batch_norm"
      ),
    ] {
      let found = try errors(text)
      #expect(found.contains { $0.contains(part) }, "\(text): \(found)")
    }
    let raw = try configurationErrors(
      oneStream(
        "format: { raw: { columns: 3 } }\nnormalize: { time: { column: f0 } }"))
    #expect(raw.contains { "\($0)".contains("unix_s, since raw rows have no texts") }, "\(raw)")
  }
}
