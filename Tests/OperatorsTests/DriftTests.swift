import BatchNormalization
import Configuration
import Foundation
import Records
import State
import Testing

@testable import Operators

/// A stream of made batches through the operators, with drift watched for.
struct DriftTests {
  @Test func `the threshold gives the runs of Siegmund's formula`() {
    #expect(abs(DriftThreshold.threshold(forRun: 2000) - 5.75) < 0.01)
    #expect(abs(DriftThreshold.threshold(forRun: 20_000) - 8.05) < 0.01)
    // One false alarm in 30 days at a batch a second, 32 features with four charts of two sides.
    #expect(abs(DriftThreshold.threshold(forRun: 30 * 86_400 * 32 * 8) - 18.5) < 0.1)
    #expect(DriftThreshold.threshold(forRun: 1) == 2)
  }

  @Test func `a shift of five spreads is found within five batches, and tells since when`() throws {
    var stream = try MadeStream(["a", "b"])
    for _ in 0..<400 { try stream.batch() }
    #expect(stream.events == [])
    var batches = 0
    while stream.events.isEmpty, batches < 20 {
      try stream.batch(shift: [0, 5 / 16.0])
      batches += 1
    }
    #expect(batches <= 5)
    let event = try #require(stream.events.first)
    #expect(event.kind.name == "drift" && event.feature == "b")
    #expect(event.fields["kind"] == .text("mean") && event.fields["phase"] == .text("drifting"))
    #expect(event.fields["since_batch"] == .count(401))
    #expect(event.fields["since_record"] == .count(400 * 256 + 1))
    guard case .number(let size)? = event.fields["size"] else {
      Issue.record("no size")
      return
    }
    #expect(abs(size - 5 / 16.0) < 0.1, "in deviations of the feature")
    #expect(event.text.hasPrefix("its mean is 0.") && event.text.contains("above the reference"))
    let alarms = DriftAlarm.all(in: stream.chain.state).filter(\.phase.isDrifting)
    #expect(alarms.map(\.feature) == ["b"] && alarms[0].alarms == 1)
  }

  /// Values that weigh little may be clipped too, and so be more than they weigh together.
  @Test func `a share of values is a number, also of more values than their weight`() {
    for total in [32.0, 40.5, 1e6] {
      for count in [0, 1, 31, 32, 33, 50, 1000] {
        let value = DriftShare.value(count, of: total)
        #expect((0...Double.pi / 2).contains(value), "\(count) of \(total)")
      }
    }
    #expect(DriftShare.value(50, of: 32) == DriftShare.value(32, of: 32))
  }

  @Test func `deviations and missing and clipped values have charts too`() throws {
    var stream = try MadeStream(["a"]) { settings, values in
      settings.clip = 6
      values[DriftSettings.falseAlarms] = .perBatches(10_000)
    }
    for _ in 0..<300 { try stream.batch() }
    try stream.expect([])
    for _ in 0..<6 { try stream.batch(scale: [2]) }
    try stream.expect(["spread above"])
    stream = try MadeStream(["a"])
    for _ in 0..<300 { try stream.batch() }
    for _ in 0..<5 { try stream.batch(missing: 0.3) }
    try stream.expect(["missing above"])
    stream = try MadeStream(["a"]) { settings, _ in settings.clip = 6 }
    for _ in 0..<300 { try stream.batch() }
    for _ in 0..<12 { try stream.batch(outliers: 3) }
    #expect(stream.states.contains("clipped above"), "\(stream.states)")
  }

  @Test func `a sensor that stands still is found, and one that has no values at all`() throws {
    var stream = try MadeStream(["a"])
    for _ in 0..<200 { try stream.batch() }
    for _ in 0..<5 { try stream.batch(scale: [0]) }
    #expect(stream.states.contains("spread below"), "\(stream.states)")
    stream = try MadeStream(["a"])
    for _ in 0..<200 { try stream.batch() }
    for _ in 0..<5 { try stream.batch(missing: 1) }
    try stream.expect(["missing above"])
  }

  @Test func `batches with few values are judged together`() throws {
    var stream = try MadeStream(["a"], size: 5)
    for _ in 0..<(7 * 300) { try stream.batch() }
    let charts = DriftCharts(DriftColumns(in: stream.chain.state), of: stream.chain.state)
    #expect(charts[0].pools == 300)
    #expect(stream.events == [])
    // An open pool is part of the state: its values count with those that come later.
    for _ in 0..<3 { try stream.batch(shift: [3]) }
    #expect(stream.events == [])
    for _ in 0..<40 { try stream.batch(shift: [3]) }
    try stream.expect(["mean above"])
  }

  @Test func `nothing is said in the first hundred pools`() throws {
    var stream = try MadeStream(["a"])
    for index in 0..<100 { try stream.batch(shift: [index < 50 ? 0 : 1000]) }
    #expect(stream.events == [])
  }

  @Test func `one absurd batch is no drift`() throws {
    var stream = try MadeStream(["a"])
    for _ in 0..<300 { try stream.batch() }
    try stream.batch(shift: [1e9])
    for _ in 0..<300 { try stream.batch() }
    #expect(stream.events == [])
    for _ in 0..<6 { try stream.batch(shift: [1]) }
    #expect(stream.states.contains("mean above"), "it can still hear: \(stream.states)")
  }

  @Test func `with slow, the reference follows and the alarm settles`() throws {
    var stream = try MadeStream(["a"])
    for _ in 0..<300 { try stream.batch() }
    for _ in 0..<6 { try stream.batch(shift: [1]) }
    try stream.expect(["mean above"])
    for _ in 0..<1500 { try stream.batch(shift: [1]) }
    try stream.expect(["mean settled"])
    #expect(stream.events.map(\.kind.name).contains("drift_ended"))
  }

  @Test func `with start, the reference stays until the user accepts the change`() throws {
    var stream = try MadeStream(["a"]) { settings, _ in
      settings.momentum = .cumulative
      settings.estimator = .total
    }
    for _ in 0..<1200 { try stream.batch() }
    for _ in 0..<800 { try stream.batch(shift: [1]) }
    try stream.expect(["mean above"])
    try stream.chain.apply(StreamUpdate("drift/accept"))
    try stream.expect(["mean settled"])
    let reference = try #require(DriftAlarm.all(in: stream.chain.state).first).reference
    #expect(abs(reference - 1) < 0.02)
    stream.events = []
    for _ in 0..<300 { try stream.batch(shift: [1]) }
    // The next batch tells that the user has ended the alarm.
    #expect(stream.events.map(\.kind.name) == ["drift_ended"])
    for _ in 0..<6 { try stream.batch() }
    try stream.expect(["mean below"])
    for _ in 0..<300 { try stream.batch(shift: [1]) }
    try stream.expect(["mean ok"])
  }

  @Test func `freeze holds the moments of a feature that drifts, from the batch of its alarm on`()
    throws
  {
    var stream = try MadeStream(["a", "b"]) { _, values in
      values[DriftSettings.actions] = [.log, .freeze]
    }
    for _ in 0..<300 { try stream.batch() }
    var before: [Double] = []
    while stream.events.isEmpty {
      before = stream.chain.state[real: "running_mean"]
      try stream.batch(shift: [100, 0])
    }
    #expect(stream.chain.state[real: "running_mean"][0] == before[0])
    #expect(stream.chain.state[real: "running_mean"][1] != before[1])
    for _ in 0..<5 { try stream.batch(shift: [100, 0]) }
    #expect(stream.chain.state[real: "running_mean"][0] == before[0])
  }

  @Test func `a state that is stored at any batch goes on alike`() throws {
    var whole = try MadeStream(["a"], size: 20)
    var states: [StateTable] = []
    for index in 0..<500 {
      states.append(whole.chain.state)
      try whole.batch(shift: [index > 400 ? 1 : 0])
    }
    #expect(whole.events.count == 1)
    for start in [0, 1, 3, 250, 403] {
      var rest = try MadeStream(["a"], size: 20, state: states[start])
      rest.skip(batches: start)
      for index in start..<500 { try rest.batch(shift: [index > 400 ? 1 : 0]) }
      #expect(rest.events == whole.events && rest.chain.state == whole.chain.state, "\(start)")
    }
  }

  @Test func `a stored reference judges from the first batches on`() throws {
    var training = try MadeStream(["a"])
    for _ in 0..<300 { try training.batch() }
    var stream = try MadeStream(["a"], reference: training.chain.state)
    stream.skip(batches: 1000)
    for _ in 0..<8 { try stream.batch(shift: [1]) }
    try stream.expect(["mean above"])
    stream = try MadeStream(["a"], reference: training.chain.state)
    stream.skip(batches: 1000)
    for _ in 0..<500 { try stream.batch() }
    #expect(stream.events == [])
    // Moments alone have no spread of batches: it is measured first.
    let plain = training.chain.state.regrouped(to: NormalizerColumns.groups)
    stream = try MadeStream(["a"], reference: plain)
    for _ in 0..<100 { try stream.batch(shift: [1]) }
    #expect(stream.events == [])
    for _ in 0..<8 { try stream.batch(shift: [1]) }
    try stream.expect(["mean above"])
  }

  @Test func `features that are off keep no state, and their charts merge`() throws {
    let off = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(
        schema: FeatureSchema(["a"]), outputPrecision: .float64, normalization: .init()))
    #expect(off.state.group("drift_charts") == nil)
    var left = try MadeStream(["a"])
    for _ in 0..<150 { try left.batch() }
    var right = try MadeStream(["a"])
    right.skip(batches: 150)
    for _ in 0..<250 { try right.batch() }
    var merged = left.chain.state
    try merged.merge(right.chain.state)
    let chart = DriftCharts(DriftColumns(in: merged), of: merged)[0]
    #expect(chart.pools == 400 && chart.above == DriftSide() && chart.phase == .ok)
    // That of the means of 256 independent values.
    #expect(abs(chart.spread.variance - 1) < 0.2)
  }

  @Test func `a rate in time is converted once, by the first hour of a live stream`() throws {
    var stream = try MadeStream(["a"], isLive: true)
    let columns = DriftColumns(in: stream.chain.state)
    for _ in 0..<359 { try stream.batch(seconds: 10) }
    // One a second is assumed.
    #expect(stream.chain.state[columns.poolRate][0] == 0)
    let assumed = stream.chain.state[columns.threshold][0]
    try stream.batch(seconds: 10)
    #expect(stream.chain.state[columns.poolRate][0] == 0.1)
    for _ in 0..<400 { try stream.batch(seconds: 1) }
    #expect(stream.chain.state[columns.poolRate][0] == 0.1)
    // A tenth of the pools to a false alarm, so that less is enough: ln 10 less, about.
    let known = stream.chain.state[columns.threshold][0]
    #expect(abs(assumed - known - log(10)) < 0.05)
    // A later run goes on with the rate.
    var later = try MadeStream(["a"], isLive: true, state: stream.chain.state)
    for _ in 0..<400 { try later.batch(seconds: 100) }
    #expect(later.chain.state[columns.poolRate][0] == 0.1)
    #expect(later.chain.state[columns.threshold][0] == known)
    var file = try MadeStream(["a"])
    for _ in 0..<400 { try file.batch(seconds: 10) }
    #expect(file.chain.state[columns.poolRate][0] == 0)
  }

  @Test func `a season is foretold, so that it does not hide a shift`() throws {
    for period in [2.6, 4.0, 5.6] {
      var stream = try MadeStream(["a"])
      for index in 0..<1500 {
        let wave = sin(2 * .pi * Double(index) / period)
        try stream.batch(shift: [wave + (index < 1000 ? 0 : 0.5)])
        if index == 999 { #expect(stream.events == [], "\(period)") }
        if index == 1009 { #expect(stream.states.contains("mean above"), "\(period)") }
      }
    }
  }

  @Test func `pools that hardly change are foretold by one pool`() {
    var spread = DriftSpread()
    (spread.variance, spread.covariance, spread.covariance2) = (1, 0.999, 0.998)
    #expect(spread.prediction.first == 0.95 && spread.prediction.second == 0)
    // A wave of four pools.
    (spread.covariance, spread.covariance2) = (0, -0.99)
    #expect(abs(spread.prediction.second + 0.99) < 1e-12 && spread.prediction.first == 0)
    #expect(abs(spread.prediction.rest - (1 - 0.99 * 0.99)) < 1e-12)
    // If nothing varies, the deviation is 0 and no number is other than finite.
    spread = DriftSpread()
    for pool in 1..<300 {
      spread.learn(7, 16, about: 7, weight: 0.001, limit: 0, pools: pool, spread.prediction)
      spread.pass(7, 16)
    }
    #expect(spread.deviation(spread.prediction) == 0)
  }

  @Test func `independent and dependent values alarm about as often as wanted`() throws {
    // The full dose is make drift-check; here a bound that chance does not reach.
    for correlation in [0.0, 0.97] {
      var alarms = 0
      for seed in 0..<6 {
        var stream = try MadeStream(["a"], size: 64, seed: UInt64(seed)) { _, values in
          values[DriftSettings.falseAlarms] = .perBatches(200)
        }
        stream.correlation = correlation
        for _ in 0..<1000 { try stream.batch() }
        alarms += stream.events.count { $0.kind.name == "drift" }
      }
      // 27 are wanted.
      #expect((9...62).contains(alarms), "\(correlation): \(alarms)")
    }
  }
}
