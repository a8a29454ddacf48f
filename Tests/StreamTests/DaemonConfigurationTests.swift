import BatchNormalization
import Codecs
import Configuration
import Connectors
import Foundation
import Records
import Storage
import Testing

@testable import Stream

@Suite struct DaemonConfigurationTests {
  /// The example of the interface's description.
  private static let full = """
    state_directory: /var/lib/evenkeel
    control:
      listen: 127.0.0.1:9600
      token_file: /etc/evenkeel/token
    streams:
      weather:
        source: { unix: { path: /run/evenkeel/weather.in.sock } }
        format: { csv: { header: true, delimiter: ",", missing_tokens: ["", NA] } }
        features: [temp, dewp, humid, "wind_*", precip, pressure, visib]
        batch: { size: 256, max_delay: 1s }
        normalize: { mode: running, momentum: 0.1, epsilon: 1.0e-5 }
        parameters: { file: /etc/evenkeel/weather.safetensors, watch: true }
        checkpoint: { interval: 10s, keep: 5 }
        on_bad_record: dead_letter
        sink: { file: { path: /var/spool/evenkeel/weather.csv.zst, rotate: { size: 1GiB, age: 1h } } }
        compression: { level: 1 }
    """

  @Test func `the whole of a configuration is read`() throws {
    let configuration = try daemonConfiguration(Self.full)
    #expect(configuration.stateDirectory == "/var/lib/evenkeel")
    #expect(configuration.control.listen == [.tcp(host: "127.0.0.1", port: 9600)])
    #expect(configuration.control.tokenFile == "/etc/evenkeel/token")
    #expect(configuration.shutdownTimeoutSeconds == 20)
    let weather = try #require(configuration.streams.first)
    #expect(weather.name == "weather")
    #expect(weather.source.kind.name == "unix")
    #expect(weather.source.kind.isLive)
    #expect(weather.sink.kind.name == "file")
    #expect(weather.stream.format.name == "csv")
    #expect(weather.stream.decoder.settings[CSVSettings.missingTokens] == ["", "NA"])
    #expect(weather.stream.decoder.features.map(\.text).contains("wind_*"))
    #expect(weather.stream.batch.size == 256)
    #expect(weather.stream.batch.maxDelaySeconds == 1)
    var expected = NormalizationSettings()
    expected.momentum = .weight(0.1)
    expected.epsilon = .absolute(1e-5)
    #expect(weather.stream.normalization == expected)
    #expect(weather.stream.badRecords == .deadLetter)
    #expect(weather.stream.compressionLevel == 1)
    #expect(weather.parameters?.file == "/etc/evenkeel/weather.safetensors")
    #expect(weather.parameters?.watches == true)
    #expect(weather.checkpoint == CheckpointOptions())
    #expect(weather.directory(in: configuration.stateDirectory) == "/var/lib/evenkeel/weather")
  }

  @Test func `an omitted setting has its default`() throws {
    let configuration = try daemonConfiguration(oneStream("format: ndjson"))
    #expect(configuration.control == ControlOptions())
    #expect(configuration.metrics.perFeature == nil)
    #expect(configuration.log == LogOptions())
    let stream = try #require(configuration.streams.first)
    #expect(stream.checkpoint.schedule.intervalSeconds == 10)
    #expect(stream.checkpoint.schedule.everyBatches == nil)
    #expect(stream.checkpoint.keep == 5)
    #expect(stream.restart == RestartOptions())
    #expect(stream.deadLetters == DeadLetterOptions())
    #expect(stream.parameters == nil)
    let settings = stream.stream
    #expect(settings.decoder.limits == DecoderLimits())
    #expect(settings.batch.maxBytes == BatchOptions().maxBytes)
    #expect(settings.decompression.codec.maxWindowLog == 27)
    #expect(settings.decompression.maxGrowth == 1000)
    #expect(settings.precision == .float32)
    #expect(settings.outputFormat?.name == nil)
    #expect(settings.onMismatch == .fail)
    #expect(settings.normalization == NormalizationSettings())
  }

  @Test func `every setting of a stream is taken over`() throws {
    let stream = try onlyStream(
      oneStream(
        """
        format: { raw: { columns: 3, scalar: float64 } }
        features: f1
        batch: { size: 8, max_delay: 250ms, min_size: 3 }
        normalize:
          mode: renorm
          preset: keras
          half_life: { records: 600 }
          epsilon: 0.5
          estimator: batch_norm
          variance: unbiased
          bias_correction: true
          warm_up: { records: 4, emit: hold }
          frozen: true
          clip: 6
          variance_floor: 0.25
          renorm: { max_scale: 2, max_shift: 1 }
        on_missing: impute
        on_invalid: missing
        on_bad_record: dead_letter
        on_mismatch: match_by_name
        output: { format: csv, precision: float64 }
        compression: off
        limits:
          { record_bytes: 1KiB, fields: 9, depth: 5, window: 1MiB, growth: 50, batch_bytes: 2MiB }
        checkpoint: { interval: 1m, every_batches: 100, keep: 2 }
        dead_letters: { max_size: 1MiB, keep: 0 }
        restart: { initial: 1s, max: 10s, reset_after: 5m }
        """))
    var expected = NormalizationSettings(preset: .keras)
    expected.mode = .renorm
    expected.momentum = .halfLifeRecords(600)
    expected.epsilon = .absolute(0.5)
    expected.variance = .unbiased
    expected.biasCorrection = true
    expected.warmUp.records = 4
    expected.warmUp.emission = .hold
    expected.isFrozen = true
    expected.clip = 6
    expected.varianceFloor = 0.25
    expected.renormMaxScale = 2
    expected.renormMaxShift = 1
    expected.minBatchSize = 3
    expected.imputesMissing = true
    let settings = stream.stream
    #expect(settings.normalization == expected)
    #expect(settings.decoder.settings[RawSettings.columns] == 3)
    #expect(settings.decoder.settings[RawSettings.scalar] == .float64)
    #expect(settings.decoder.features.map(\.text) == ["f1"])
    #expect(settings.decoder.onInvalid == .missing)
    #expect(settings.decoder.limits.recordBytes == 1024)
    #expect(settings.decompression.maxGrowth == 50)
    #expect(settings.decoder.limits.fields == 9)
    #expect(settings.decoder.limits.depth == 5)
    #expect(settings.decompression.codec.maxWindowLog == 20)
    #expect(settings.batch.maxBytes == 2 << 20)
    #expect(settings.batch.maxDelaySeconds == 0.25)
    #expect(settings.outputFormat?.name == "csv")
    #expect(settings.precision == .float64)
    #expect(settings.compressionLevel == nil)
    #expect(settings.onMismatch == .matchByName)
    #expect(stream.checkpoint.schedule.everyBatches == 100)
    #expect(stream.deadLetters.maxBytes == 1 << 20)
    #expect(stream.deadLetters.keep == 0)
    #expect(stream.restart.initialSeconds == 1)
    #expect(stream.restart.maxSeconds == 10)
    #expect(stream.restart.resetAfterSeconds == 300)
  }

  @Test(arguments: [
    ("off", [ControlOptions.Address]()), ("unix:/run/x.sock", [.unix(path: "/run/x.sock")]),
    ("localhost:80", [.tcp(host: "localhost", port: 80)]),
    ("'[::1]:9600'", [.tcp(host: "::1", port: 9600)]),
    (
      "['127.0.0.1:9600', unix:/run/x.sock]",
      [.tcp(host: "127.0.0.1", port: 9600), .unix(path: "/run/x.sock")]
    ),
  ])
  func `the control plane listens where it is told`(
    text: String, addresses: [ControlOptions.Address]
  ) throws {
    let configuration = try daemonConfiguration(
      "state_directory: s\nstreams: {}\ncontrol: { listen: \(text) }")
    #expect(configuration.control.listen == addresses)
  }

  @Test func `streams stand by name and share settings through anchors`() throws {
    let configuration = try daemonConfiguration(
      """
      state_directory: ${STATE}
      streams:
        b:
          source: { file: { path: i } }
          format: csv
          normalize: &shared { momentum: cumulative, clip: 5 }
          sink: { file: { path: o } }
        a:
          source: { file: { path: i } }
          format: ndjson
          normalize: { <<: *shared, clip: 6 }
          sink: { file: { path: p } }
      """, ["STATE": "/s"])
    #expect(configuration.stateDirectory == "/s")
    #expect(configuration.streams.map(\.name) == ["a", "b"])
    #expect(configuration.streams.map(\.stream.normalization.clip) == [6, 5])
    #expect(
      configuration.streams.map(\.stream.normalization.momentum) == [.cumulative, .cumulative])
  }

  @Test func `the fingerprint changes with what a stream means, and with nothing else`() throws {
    func fingerprint(_ text: String, _ variables: [String: String] = [:]) throws -> [String] {
      try onlyStream(text, variables).fingerprint
    }
    let text = oneStream("format: csv\nbatch: { size: \"${N}\", max_delay: 1s }")
    let first = try fingerprint(text, ["N": "8"])
    #expect(
      try fingerprint(oneStream("# words\nbatch: { max_delay: 1s, size: 8 }\nformat: csv")) == first
    )
    #expect(try fingerprint(text + "log: { level: debug }\n", ["N": "8"]) == first)
    #expect(try fingerprint(text, ["N": "9"]) != first)
    // A default that is written out is the same, and so is another spelling of a value.
    #expect(try fingerprint(text + "    on_missing: keep\n", ["N": "8"]) == first)
    #expect(try fingerprint(text.replacing("1s", with: "1000ms"), ["N": "8"]) == first)
    #expect(try fingerprint(text + "    on_missing: impute\n", ["N": "8"]) != first)
    #expect(try fingerprint(text + "    parameters: { file: none }\n", ["N": "8"]) != first)
    let moved = text.replacing("/tmp/state", with: "/tmp/other")
    #expect(try fingerprint(moved, ["N": "8"]) != first)
  }

  @Test func `the example beside the package is fine`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let path = root.appendingPathComponent("config/evenkeel.yaml").path
    let configuration = try DaemonConfiguration.load(path) { _ in nil }
    #expect(configuration.streams.map(\.name) == ["clicks", "weather"])
    #expect(configuration.stateDirectory == "/var/lib/evenkeel")
  }

  @Test func `every key is described`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("docs/CONFIGURATION.md"), encoding: .utf8)
    for kind in BuiltInSources.all.map(\.name) + BuiltInSinks.all.map(\.name)
      + BuiltInFormats.all.map(\.name)
    {
      #expect(page.contains("`\(kind)`"), "\(kind)")
    }
  }

  @Test func `a file that is missing is told as such`() {
    let error = #expect(throws: DaemonConfigurationError.self) {
      try DaemonConfiguration.load("/nowhere/evenkeel.yaml") { _ in nil }
    }
    #expect(error?.exitCode == 66)
  }
}
