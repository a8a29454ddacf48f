import Configuration
import Foundation
import State
import Testing

@testable import Operators

/// The chart of distributions.
struct DriftBinsTests {
  private func stream(_ names: [String] = ["a"]) throws -> MadeStream {
    try MadeStream(names) { _, values in values[DriftSettings.distribution] = true }
  }

  /// Two heaps with the mean 0 and the deviation 1.
  private func twoHeaps(_ value: Double) -> Double {
    value < 0 ? -0.98 + 0.2 * (value + 0.8) : 0.98 + 0.2 * (value - 0.8)
  }

  @Test func `the bins of normal values have the same probability`() {
    #expect(DriftBins.bounds.count == DriftBins.count - 1)
    for (index, bound) in DriftBins.bounds.enumerated() {
      let probability = 0.5 * erfc(-bound / 2.0.squareRoot())
      #expect(abs(probability - Double(index + 1) / 16) < 1e-15)
    }
  }

  @Test func `the difference is the population stability index by its mean under chance`() {
    let counts = (0..<16).map { 10 + $0 }
    let shares = [Double](repeating: 1.0 / 16, count: 16)
    // By hand: 280 values against 2,800.
    var index = 0.0
    for count in counts {
      let (o, e) = ((Double(count) + 0.5) / 288, (175 + 0.5) / 2808.0)
      index += (o - e) * log(o / e)
    }
    let expected = pow(index / (1.0 / 280 + 1.0 / 2800) / 15, 1.0 / 3)
    #expect(abs(DriftBins.difference(counts, from: shares, of: 2800) - expected) < 1e-15)
    #expect(DriftBins.difference([Int](repeating: 9, count: 16), from: shares, of: 144) == 0)
  }

  @Test func `the threshold counts one side of a chart of which only a rise is drift`() throws {
    var made = try stream(["a", "b"])
    for _ in 0..<300 { try made.batch() }
    let state = made.chain.state
    // A rise and a fall of means and deviations, and a rise of distributions.
    let sides = 2 * (2 + 2 + 1)
    let pools = 30 * 86_400.0
    #expect(
      state[DriftColumns(in: state).threshold][0]
        == DriftThreshold.threshold(forRun: pools * Double(sides)))
  }

  @Test func `another distribution with the same mean and deviation is found`() throws {
    var made = try stream(["a", "b"])
    for _ in 0..<300 { try made.batch() }
    #expect(made.events == [])
    for _ in 0..<12 { try made.batch(shape: twoHeaps) }
    #expect(made.states.sorted().contains("distribution above"), "\(made.states)")
    let event = try #require(made.events.first { $0.fields["kind"] == .text("distribution") })
    guard case .count(let since)? = event.fields["since_batch"] else {
      Issue.record("no batch")
      return
    }
    #expect((300...301).contains(since) && event.text.contains("times chance"), "\(event.text)")
    // With slow, it settles.
    for _ in 0..<3000 { try made.batch(shape: twoHeaps) }
    #expect(made.states.contains("distribution settled"), "\(made.states)")
  }

  @Test func `chance and correlated values are told as rarely as wanted`() throws {
    for correlation in [0.0, 0.9] {
      var alarms = 0
      for seed in 0..<6 {
        var made = try MadeStream(["a"], size: 64, seed: UInt64(seed)) { _, values in
          values[DriftSettings.distribution] = true
          values[DriftSettings.falseAlarms] = .perBatches(200)
        }
        made.correlation = correlation
        for _ in 0..<1000 { try made.batch() }
        alarms += made.events.count { $0.kind.name == "drift" }
      }
      // 27 are wanted.
      #expect((9...62).contains(alarms), "\(correlation): \(alarms)")
    }
  }

  @Test func `few values wait for more, and a stored state goes on alike`() throws {
    func changed(_ value: Double, at index: Int) -> Double {
      index > 900 ? twoHeaps(value) : value
    }
    var whole = try MadeStream(["a"], size: 20) { _, values in
      values[DriftSettings.distribution] = true
    }
    var states: [StateTable] = []
    for index in 0..<1100 {
      states.append(whole.chain.state)
      try whole.batch(shape: { changed($0, at: index) })
    }
    #expect(whole.events.contains { $0.fields["kind"] == .text("distribution") })
    for start in [1, 3, 250, 902] {
      var rest = try MadeStream(["a"], size: 20, state: states[start]) { _, values in
        values[DriftSettings.distribution] = true
      }
      rest.skip(batches: start)
      for index in start..<1100 { try rest.batch(shape: { changed($0, at: index) }) }
      #expect(rest.events == whole.events && rest.chain.state == whole.chain.state, "\(start)")
    }
  }

  @Test func `a stored reference is compared with`() throws {
    var training = try stream()
    for _ in 0..<300 { try training.batch() }
    var made = try MadeStream(["a"], reference: training.chain.state) { _, values in
      values[DriftSettings.distribution] = true
    }
    made.skip(batches: 1000)
    for _ in 0..<20 { try made.batch(shape: twoHeaps) }
    #expect(made.states.contains("distribution above"), "\(made.states)")
    // It stands still.
    let columns = DriftColumns(in: made.chain.state)
    #expect(made.chain.state[columns.share] == training.chain.state[columns.share])
  }

  @Test func `without the setting there is no such chart`() throws {
    var made = try MadeStream(["a"])
    for _ in 0..<200 { try made.batch() }
    #expect(!DriftAlarm.all(in: made.chain.state).contains { $0.kind == .distribution })
    #expect(made.chain.state[DriftColumns(in: made.chain.state).share].allSatisfy { $0 == 0 })
  }
}
