import BatchNormalization
import Configuration
import Operators
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

/// The file of a prior in the configuration, and streams that have one.
@Suite struct PriorTests {
  private static let groups = StateReading.ofNormalizer.groups

  private func trained(
    _ features: [String], mean: [Double], variance: [Double], settings: [String: String] = [:]
  ) -> Checkpoint {
    var checkpoint = Checkpoint(features: features, settings: settings)
    checkpoint.runningMean = mean
    checkpoint.runningVariance = variance
    return checkpoint
  }

  /// Writes a checkpoint into a directory, and returns its path.
  private func write(_ checkpoint: Checkpoint, in directory: TemporaryDirectory) throws -> String {
    try directory.write("train.safetensors", try checkpoint.serialized())
  }

  private func configured(_ path: String, _ more: String = "") -> String {
    oneStream(
      "format: csv\n\(more)normalize: { prior: { checkpoint: \(path), values: 50 } }")
  }

  private func configuration(
    _ path: String, _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) throws -> StreamConfiguration {
    var configuration = csvConfiguration {
      $0.precision = .float64
      var prior = Prior(values: 50)
      prior.limit.mean = 3
      $0.normalization.prior = prior
      $0.operatorSettings[NormalizeSettings.priorCheckpoint] = path
      $0.operatorSettings[NormalizeSettings.priorValues] = 50
      change(&$0)
    }
    try configuration.readPrior(in: POSIXFileSystem())
    return configuration
  }

  private func values(_ count: Int, _ seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in random.fraction(upTo: 9999, over: 128) }
  }

  @Test func `the file is read with the configuration, and refused there`() throws {
    let directory = try TemporaryDirectory()
    let path = try write(
      trained(["a"], mean: [5], variance: [4]), in: directory)
    #expect(try configurationErrors(configured(path)).isEmpty)
    let missing = try configurationErrors(configured("/nowhere/train"))
    #expect(missing.count == 1)
    #expect(
      "\(missing[0])".contains(
        "normalize.prior.checkpoint: expected a checkpoint, found cannot open /nowhere/train: "
          + "No such file or directory"), "\(missing)")
    let bad = try directory.write("bad.safetensors", Array("no checkpoint".utf8))
    #expect(try configurationErrors(configured(bad)).count == 1)
  }

  @Test func `the moments of the file are part of the fingerprint, not its other contents`() throws
  {
    let directory = try TemporaryDirectory()
    let path = try write(trained(["a"], mean: [5], variance: [4]), in: directory)
    let first = try onlyStream(configured(path))
    _ = try write(
      trained(["a"], mean: [5], variance: [4], settings: ["clip": "3"]), in: directory)
    let same = try onlyStream(configured(path))
    #expect(same.fingerprint == first.fingerprint)
    _ = try write(trained(["a"], mean: [5.5], variance: [4]), in: directory)
    let other = try onlyStream(configured(path))
    #expect(other.fingerprint != first.fingerprint)
    #expect(other.stream.normalization.prior?.identity.count == 16)
  }

  @Test func `a feature without moments in the file stops the stream, or has no prior`() throws {
    let directory = try TemporaryDirectory()
    let path = try write(
      trained(["b", "a"], mean: [0, 5], variance: [1, 4]), in: directory)
    let input = csv([("a", values(12, 1)), ("b", values(12, 2))])
    let error = #expect(throws: StreamError.self) {
      try SerialRun(try configuration(path), input)
    }
    #expect(error?.exitCode == 78)
    #expect(
      "\(try #require(error))".contains(
        "test: the prior \(path): expected moments of every feature, found none of 'b'; "),
      "\(String(describing: error))")
    let allowing = try configuration(path) {
      $0.operatorSettings[StateSettings.onMismatch] = .matchByName
    }
    let run = try SerialRun(allowing, input)
    let without = try SerialRun(csvConfiguration { $0.precision = .float64 }, input)
    #expect(column(2, of: run.text) == column(2, of: without.text))
    #expect(column(1, of: run.text) != column(1, of: without.text))
  }

  @Test func `a limit needs a deviation to be measured by`() throws {
    let directory = try TemporaryDirectory()
    let path = try write(trained(["a"], mean: [5], variance: [0]), in: directory)
    let error = #expect(throws: StreamError.self) {
      try SerialRun(try configuration(path), csv([("a", values(12, 1))]))
    }
    #expect(
      "\(try #require(error))".contains(
        "expected deviations above 0, which a limit is measured by, found 0 of 'a'"))
    let free = try configuration(path) { $0.normalization.prior?.limit.mean = nil }
    _ = try SerialRun(free, csv([("a", values(12, 1))]))
  }

  @Test func `two halves with a prior equal the whole, and another prior is refused`() throws {
    let directory = try TemporaryDirectory()
    let path = try write(trained(["a"], mean: [40], variance: [100]), in: directory)
    let all = values(64, testSeed)
    let configuration = try configuration(path)
    let whole = try SerialRun(configuration, csv([("a", all)]))
    let first = try SerialRun(configuration, csv([("a", Array(all[..<28]))]))
    let stored = try Checkpoint(serialized: #require(first.checkpoint).serialized())
    #expect(stored.settings["prior"] == configuration.normalization.prior?.identity)
    #expect(stored.settings["prior.values"] == "50.0" && stored.settings["limit.mean"] == "3.0")
    let rest = csv([("a", Array(all[28...]))])
    let second = try SerialRun(configuration, rest, initial: stored)
    let halves = column(1, of: first.text) + column(1, of: second.text)
    #expect(halves.map(\.bitPattern) == column(1, of: whole.text).map(\.bitPattern))
    // The moments are those without a prior.
    let without = try SerialRun(csvConfiguration { $0.precision = .float64 }, csv([("a", all)]))
    let (found, expected) = (try #require(whole.checkpoint), try #require(without.checkpoint))
    #expect(found.state == expected.state && whole.text != without.text)
    // Without the prior that the checkpoint names, and with another.
    _ = try write(trained(["a"], mean: [41], variance: [100]), in: directory)
    for other in [
      csvConfiguration { $0.precision = .float64 }, try self.configuration(path),
    ] {
      let error = #expect(throws: StreamError.self) {
        try SerialRun(other, rest, initial: stored)
      }
      #expect("\(try #require(error))".contains("settings: prior: expected "), "\(error!)")
    }
    // A checkpoint without one may get one.
    _ = try SerialRun(try self.configuration(path), rest, initial: expected)
  }
}
