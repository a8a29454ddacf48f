import BatchNormalization
import Codecs
import Dataflow
import Records
import Synchronization
import TestSupport
import Testing

@testable import Stream

/// A client that keeps its samples.
private final class CollectingTap: TapReceiver, Sendable {
  struct State {
    var begins = 0
    var ends = 0
    var samples: [TapSample] = []
    /// The number of samples for which there is room.
    var room = Int.max
    var isClosed = false
  }

  private let state = Mutex(State())

  var isClosed: Bool { state.withLock { $0.isClosed } }
  func begin() { state.withLock { $0.begins += 1 } }
  func end() { state.withLock { $0.ends += 1 } }

  func take(_ sample: TapSample) -> Bool {
    state.withLock {
      guard $0.room > 0 else { return false }
      $0.room -= 1
      $0.samples.append(sample)
      return true
    }
  }

  func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

  var shown: State { state.withLock { $0 } }
  var records: [TappedRecord] {
    shown.samples.compactMap { if case .record(let record) = $0 { record } else { nil } }
  }
  var rejected: [RejectedRecord] {
    shown.samples.compactMap { if case .rejected(let record) = $0 { record } else { nil } }
  }
  var lost: [Int] {
    shown.samples.compactMap { if case .lost(let count) = $0 { count } else { nil } }
  }
}

@Suite struct TapTests {
  private let taps = StreamTaps()

  private func tap(rate: Double = 100, limit: Int? = nil) -> CollectingTap {
    let tap = CollectingTap()
    #expect(taps.add(tap, TapOptions(rate: rate, limit: limit)))
    return tap
  }

  // Whole batches, batches that are gathered, and held ones take different ways through the stage.
  @Test(arguments: [NormalizationMode.batch, .running], [1, 30, 1000])
  func `a record is shown as it was read and as it is written`(
    mode: NormalizationMode, piece: Int
  ) throws {
    // Live streams send segments before the cut.
    let isLive = piece < 100
    let values: [Double] = (0..<24).map { Double($0 * $0 % 17) }
    let input = csv([("a", values), ("b", values.map { -$0 })])
    let configuration = csvConfiguration {
      $0.normalization.mode = mode
      $0.isLive = isLive
    }
    let tap = tap()
    let run = try SerialRun(configuration, input, piece: piece, isLive: isLive, taps: taps)
    let lines = String(decoding: input, as: UTF8.self).split(separator: "\n")
    #expect(tap.records.map(\.record) == Array(1...24))
    for (index, record) in tap.records.enumerated() {
      #expect(record.features == ["a", "b"])
      #expect(record.input == [values[index], -values[index]])
      #expect(record.inputText == String(lines[index + 1]))
      #expect(record.outputText == String(run.lines[index + 1]))
      let written = run.lines[index + 1].split(separator: ",").dropFirst().compactMap { Float($0) }
      #expect(record.output.map { Float($0) } == written)
    }
    #expect(tap.shown.begins == 1)
    #expect(run.text == (try SerialRun(configuration, input, piece: piece, isLive: isLive)).text)
  }

  // Held records are shown once, when they leave.
  @Test(arguments: WarmUp.Emission.allCases)
  func `records of the warm-up are shown as they are written`(emission: WarmUp.Emission)
    throws
  {
    let values: [Double] = (0..<16).map { Double($0 * $0 % 7) }
    let configuration = csvConfiguration {
      $0.normalization.warmUp.records = 10
      $0.normalization.warmUp.emission = emission
    }
    let tap = tap()
    let run = try SerialRun(configuration, csv([("a", values)]), taps: taps)
    #expect(tap.records.map(\.record) == Array(1...16))
    #expect(tap.records.map(\.outputText) == run.lines[1...16].map(String.init))
    let written = column(1, of: run.text).map(Float.init)
    let shown = tap.records.map { Float($0.output[0]) }
    #expect(shown.map { $0.isNaN ? nil : $0 } == written.map { $0.isNaN ? nil : $0 })
  }

  @Test func `NDJSON is shown as text, and raw rows by their values`() throws {
    for format in ["ndjson", "raw"] {
      let stream = TestStream(format, records: 20, seed: 5)
      let tap = tap()
      let run = try SerialRun(stream.configuration, stream.bytes, taps: taps)
      #expect(!tap.records.isEmpty)
      for record in tap.records {
        #expect(record.features == TestStream.features)
        #expect(record.output.count == 3 && record.input.count == 3)
        if format == "raw" {
          #expect(record.inputText == nil && record.outputText == nil)
        } else if let text = record.outputText {
          #expect(run.lines.contains(Substring(text)))
        }
      }
      tap.change { $0.isClosed = true }
    }
  }

  @Test func `an output of another format is shown in that format`() throws {
    let configuration = csvConfiguration { $0.outputFormat = .named("ndjson") }
    let tap = tap()
    let run = try SerialRun(configuration, csv([("a", [1, 2, 3, 5])]), taps: taps)
    #expect(tap.records.map(\.outputText) == run.lines[..<4].map(String.init))
  }

  @Test func `rejected records are shown with the reason, and with their text if it is kept`()
    throws
  {
    for policy in [BadRecordPolicy.skip, .deadLetter] {
      let configuration = csvConfiguration { $0.badRecords = policy }
      let tap = tap()
      let input = Array("k,a\nx,1\ny,no\nz,2\n".utf8)
      _ = try SerialRun(configuration, input, taps: taps)
      #expect(tap.rejected.map(\.number) == [2])
      #expect(tap.rejected.first?.found == "'no'")
      #expect(tap.rejected.first?.text == (policy == .skip ? nil : "y,no"))
      #expect(tap.records.map(\.inputText) == ["x,1", "z,2"])
      tap.change { $0.isClosed = true }
    }
  }

  @Test func `a record that does not fit the output is shown as rejected only`() throws {
    let configuration = csvConfiguration {
      $0.badRecords = .deadLetter
      $0.normalization = NormalizationSettings(preset: .sklearn)
      $0.normalization.updateFirst = false
    }
    let tap = tap()
    _ = try SerialRun(configuration, csv([("a", [1, 2, 3, 4, 6, 5, 1e60, 8])]), taps: taps)
    #expect(tap.rejected.map(\.number) == [7])
    #expect(
      tap.records.map(\.inputText)
        == [0, 1, 2, 3, 4, 5, 7].map { "k\($0),\([1.0, 2, 3, 4, 6, 5, 0, 8][$0])" })
  }

  @Test func `the rate bounds the samples of a second, and time allows more`() throws {
    let clock = ManualClock()
    let (slow, fast) = (tap(rate: 0.5), tap(rate: 3))
    func pass(_ count: Int) throws {
      let values = (0..<count).map { Double($0) }
      _ = try SerialRun(csvConfiguration(), csv([("a", values)]), taps: taps, clock: clock)
    }
    try pass(40)
    #expect(slow.records.count == 1)
    #expect(fast.records.count == 3)
    try pass(40)
    #expect(slow.records.count == 1 && fast.records.count == 3)
    clock.advance(by: 1)
    try pass(40)
    #expect(slow.records.count == 1 && fast.records.count == 6)
    clock.advance(by: 100)
    try pass(40)
    #expect(slow.records.count == 2 && fast.records.count == 9)
  }

  @Test func `the rate bounds rejected records by themselves`() throws {
    let clock = ManualClock()
    let tap = tap(rate: 2)
    let configuration = csvConfiguration { $0.badRecords = .skip }
    let input = Array("k,a\nu,no\nv,1\nw,no\nx,2\ny,no\nz,3\n".utf8)
    for (seconds, shown) in [(0.0, 2), (0, 2), (1, 4), (100, 6)] {
      clock.advance(by: seconds)
      _ = try SerialRun(configuration, input, taps: taps, clock: clock)
      #expect(tap.rejected.count == shown)
      #expect(tap.records.count == shown)
    }
  }

  @Test func `a tap ends at its limit, and the others go on`() throws {
    let (two, all) = (tap(limit: 2), tap())
    _ = try SerialRun(csvConfiguration(), csv([("a", (0..<9).map { Double($0) })]), taps: taps)
    #expect(two.records.map(\.record) == [1, 2])
    #expect(two.shown.ends == 1)
    #expect(all.records.count == 9 && all.shown.ends == 0)
  }

  @Test func `samples that a client does not take are counted and told later`() throws {
    let tap = tap()
    tap.change { $0.room = 3 }
    func pass(_ count: Int) throws {
      let values = (0..<count).map { Double($0) }
      _ = try SerialRun(csvConfiguration(), csv([("a", values)]), taps: taps)
    }
    try pass(10)
    #expect(tap.records.count == 3 && tap.lost.isEmpty)
    tap.change { $0.room = .max }
    try pass(1)
    #expect(tap.records.count == 4 && tap.lost == [7])
  }

  @Test func `a client that is gone gets nothing, and costs nothing`() throws {
    let tap = tap()
    tap.change { $0.isClosed = true }
    _ = try SerialRun(csvConfiguration(), csv([("a", [1, 2, 3, 4])]), taps: taps)
    #expect(tap.shown.samples.isEmpty)
    #expect(taps.wantedRecords(at: ManualClock().clock.now()) == 0)
  }

  @Test func `a stream that has ended ends its taps and takes no other`() {
    let tap = tap()
    taps.end()
    #expect(tap.shown.ends == 1)
    #expect(!taps.add(CollectingTap(), TapOptions()))
    let other = CollectingTap()
    do {
      let dropped = StreamTaps()
      #expect(dropped.add(other, TapOptions()))
    }
    #expect(other.shown.ends == 1)
  }

  @Test func `only a part of many features, and no text of a long record, is shown`() throws {
    let columns = (0..<130).map { (name: "f\($0)", values: [1.0, 2]) }
    let tap = tap()
    let text = String(decoding: csv(columns), as: UTF8.self)
    let long = text.replacing("\nk1,", with: "\n\(String(repeating: "k", count: 20_000)),")
    _ = try SerialRun(csvConfiguration(), Array(long.utf8), taps: taps)
    #expect(tap.records.map(\.features.count) == [100, 100])
    #expect(tap.records.map(\.featuresLeftOff) == [30, 30])
    #expect(tap.records.map { $0.inputText == nil } == [false, true])
    #expect(tap.records.map { $0.outputText == nil } == [false, true])
  }

  @Test func `no text of a long output or of a long rejected record is shown`() throws {
    let wide = tap()
    let columns = (0..<4000).map { (name: "f\($0)", values: [1.0, 2, 4, 7]) }
    let configuration = csvConfiguration { $0.normalization.mode = .batch }
    _ = try SerialRun(configuration, csv(columns), taps: taps)
    #expect(wide.records.map { $0.inputText == nil } == [false, false, false, false])
    #expect(wide.records.map { $0.outputText == nil } == [true, true, true, true])
    wide.change { $0.isClosed = true }
    let tap = tap()
    let long = "k,a\nx,1\n\(String(repeating: "y", count: 20_000)),no\n"
    let kept = csvConfiguration { $0.badRecords = .deadLetter }
    _ = try SerialRun(kept, Array(long.utf8), taps: taps)
    #expect(tap.rejected.map(\.number) == [2])
    #expect(tap.rejected.first?.text == nil)
  }
}
