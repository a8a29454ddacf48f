import Configuration
import Testing

@testable import Stream

/// A wrong configuration, and where and how its first error is told.
private struct Wrong: Sendable, CustomTestStringConvertible {
  let text: String
  let place: String
  let path: String
  let says: String
  let hint: String?

  /// Lines in the section of a stream, the first of them line 6.
  init(_ lines: String, _ place: String, _ path: String, _ says: String, _ hint: String? = nil) {
    self.init(file: oneStream(lines), place, "streams.weather" + path, says, hint)
  }

  init(
    file: String, _ place: String, _ path: String, _ says: String, _ hint: String? = nil
  ) {
    text = file
    self.place = place
    self.path = path
    self.says = says
    self.hint = hint
  }

  var testDescription: String { "\(path): \(says)" }
}

private let durations = "ms, s, m, h or d"

private let wrongSettings = [
  Wrong(
    "format: csv\nbatch: { sise: 3 }", "7:14", ".batch.sise", "unknown key", "did you mean 'size'?"),
  Wrong(
    "format: csv\nbatch: { size: many }", "7:20", ".batch.size",
    "expected a whole number from 1 to 1048576, or record_batch, found 'many'"),
  Wrong(
    "format: csv\nbatch: { size: 0 }", "7:20", ".batch.size",
    "expected a whole number from 1 to 1048576, or record_batch, found '0'"),
  Wrong(
    "format: csv\nbatch: { size: \"256\" }", "7:20", ".batch.size",
    "expected a whole number from 1 to 1048576, or record_batch, found the text '256'",
    "leave out the quotes"),
  Wrong(
    "format: csv\nbatch: { max_delay: 10 }", "7:25", ".batch.max_delay",
    "expected a duration such as 10s, from 0ms to 1d, found '10'", "add a unit: \(durations)"),
  Wrong(
    "format: csv\nbatch: { size: 4, min_size: 5 }\nnormalize: { mode: batch }", "7:33",
    ".batch.min_size",
    "expected at most the batch size 4, found 5"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: sgd, gradients: { directory: { path: g } } } }",
    "7:57", ".parameters.learn.gradients.directory", "unknown key",
    "known here: fifo, follow, format, kafka, tcp, unix"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: sgd, gradients: { format: arrow } } }", "7:44",
    ".parameters.learn.gradients",
    "expected exactly one of follow, fifo, unix, tcp, kafka, found nothing"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: sgd, gradients: { unix: {}, tcp: {} } } }",
    "7:44", ".parameters.learn.gradients",
    "expected exactly one of follow, fifo, unix, tcp, kafka, found unix and tcp"),
  Wrong("format: csv\nbatch: 256", "7:12", ".batch", "expected a mapping, found '256'"),
  Wrong(
    "batch: { size: 3 }", "3:3", ".format",
    "expected exactly one of csv, ndjson, raw, arrow, found nothing"),
  Wrong(
    "format: { csv: {}, raw: { columns: 2 } }", "6:5", ".format",
    "expected exactly one of csv, ndjson, raw, arrow, found csv and raw"),
  Wrong(
    "format: cvs", "6:13", ".format",
    "expected exactly one of csv, ndjson, raw, arrow, found 'cvs'",
    "did you mean 'csv'?"),
  Wrong("format: { csvv: {} }", "6:15", ".format.csvv", "unknown key", "did you mean 'csv'?"),
  Wrong(
    "format: { csv: { delimiter: ';;' } }", "6:33", ".format.csv.delimiter",
    "expected one ASCII character, found ';;'"),
  Wrong(
    "format: { csv: { delimiter: 1 } }", "6:33", ".format.csv.delimiter",
    "expected a delimiter that cannot be part of a number, found '1'"),
  Wrong(
    "format: { csv: { header: maybe } }", "6:30", ".format.csv.header",
    "expected true or false, found 'maybe'"),
  Wrong(
    "format: { raw: { scalar: float32 } }", "6:15", ".format.raw.columns",
    "expected a whole number from 1 to 1000000, found nothing"),
  Wrong(
    "format: { raw: { columns: 2, scalar: float16 } }", "6:42", ".format.raw.scalar",
    "expected one of float32, float64, found 'float16'", "did you mean 'float32'?"),
  Wrong(
    "format: { ndjson: { header: true } }", "6:25", ".format.ndjson.header", "unknown key",
    "known here: quoted_numbers"),
  Wrong(
    "format: csv\nfeatures: []", "7:5", ".features",
    "expected names, or omit the key, found none"),
  Wrong(
    "format: csv\nfeatures: [{a: b}]", "7:5", ".features",
    "expected a list of texts, found a mapping in the list"),
  Wrong("format: ndjson\nfeatures: ['a[']", "7:5", ".features", "'a[' is not a JSON path"),
  Wrong(
    "format: csv\nnormalize: { mode: runing }", "7:24", ".normalize.mode",
    "expected one of batch, running, renorm, found 'runing'", "did you mean 'running'?"),
  Wrong(
    "format: csv\nnormalize: { mode: batch, update_first: true }", "7:45",
    ".normalize.update_first", "expected mode: running, found batch"),
  Wrong(
    "format: csv\nnormalize: { estimator: total, variance: biased }", "7:46", ".normalize.variance",
    "expected estimator: batch_norm, found total, the variance of all values"),
  Wrong(
    "format: csv\nnormalize: { momentum: cumulative, bias_correction: false }", "7:57",
    ".normalize.bias_correction",
    "expected momentum as a number, or half_life.records, found momentum cumulative, in which the initial values "
      + "have no part"),
  Wrong(
    "format: csv\nnormalize: { weight: { prior: balanced } }", "7:35", ".normalize.weight.prior",
    "expected class: NAME, found none"),
  Wrong(
    "format: csv\nnormalize: { warm_up: { records: 0, emit: pass } }", "7:47",
    ".normalize.warm_up.emit",
    "expected no emit beside records: 0, found both"),
  Wrong(
    "format: csv\nnormalize:\n  renorm: { max_scale: 2 }", "8:28", ".normalize.renorm.max_scale",
    "expected mode: renorm, found running"),
  Wrong(
    "format: csv\nnormalize: { mode: renorm, renorm: { max_scale: 0.5 } }", "7:53",
    ".normalize.renorm.max_scale", "expected a finite number of at least 1, found '0.5'"),
  Wrong(
    "format: csv\nnormalize: { momentum: 1.5 }", "7:28", ".normalize.momentum",
    "expected a number above 0, at most 1, or cumulative, found '1.5'"),
  Wrong(
    "format: csv\nnormalize: { momentum: cumulativ }", "7:28", ".normalize.momentum",
    "expected a number above 0, at most 1, or cumulative, found 'cumulativ'"),
  Wrong(
    "format: csv\nnormalize: { momentum: 0.1, half_life: { records: 9 } }", "7:55",
    ".normalize.half_life.records", "expected one of momentum and a half-life, found both"),
  Wrong(
    "format: csv\nnormalize: { half_life: {} }", "7:18", ".normalize.half_life",
    "expected records, seconds or event_time, found neither"),
  Wrong(
    "format: csv\nnormalize: { half_life: { seconds: 60 } }", "7:40",
    ".normalize.half_life.seconds",
    "expected a duration such as 10s, from 1ms to 36500d, found '60'", "add a unit: \(durations)"),
  Wrong(
    "format: csv\nnormalize: { epsilon: -1 }", "7:27", ".normalize.epsilon",
    "expected a finite number of at least 0, found '-1'"),
  Wrong(
    "format: csv\nnormalize: { clip: .inf }", "7:24", ".normalize.clip",
    "expected a finite number above 0, or off, found '.inf'"),
  Wrong(
    "format: csv\nnormalize: { preset: torch }", "7:26", ".normalize.preset",
    "expected one of pytorch, keras, river, sklearn, online, found 'torch'"),
  Wrong(
    "format: csv\nnormalize: { warm_up: { records: 2000000, emit: hold } }", "7:38",
    ".normalize.warm_up.records", "expected at most 1048576 records to hold, found 2000000"),
  Wrong(
    "format: csv\nnormalize: { warm_up: { batches: 4 } }", "7:38",
    ".normalize.warm_up.batches", "expected warm_up.records, which replaces it"),
  Wrong(
    "format: csv\nnormalize: { warm_up: { emit: batch } }", "7:35", ".normalize.warm_up.emit",
    "expected one of prefix, pass, missing, hold, found 'batch'"),
  Wrong(
    "format: csv\nnormalise: { mode: batch }", "7:5", ".normalise", "unknown key",
    "did you mean 'normalize'?"),
]

private let wrongEnds = [
  Wrong(
    "format: csv\non_missing: drop", "7:17", ".on_missing",
    "expected one of keep, impute, reject, found 'drop'"),
  Wrong(
    "format: csv\non_bad_record: deadletter", "7:20", ".on_bad_record",
    "expected one of fail, skip, dead_letter, found 'deadletter'", "did you mean 'dead_letter'?"),
  Wrong(
    "format: csv\ndead_letters: { keep: 3 }", "7:5", ".dead_letters",
    "expected on_bad_record: dead_letter, found fail"),
  Wrong(
    "format: csv\non_mismatch: ignore", "7:18", ".on_mismatch",
    "expected one of fail, match_by_name, reset, found 'ignore'"),
  Wrong(
    "format: csv\noutput: { format: parquet }", "7:23", ".output.format",
    "expected one of csv, ndjson, raw, arrow, found 'parquet'"),
  Wrong(
    "format: csv\ncompression: { level: 23 }", "7:27", ".compression.level",
    "expected a whole number from -131072 to 22, found '23'"),
  Wrong(
    "format: csv\ncompression: yes", "7:18", ".compression",
    "expected a mapping, on or off, found 'yes'"),
  Wrong(
    "format: csv\nlimits: { record_bytes: 2048 }", "7:29", ".limits.record_bytes",
    "expected a size such as 64MiB, from 1B to 1GiB, found '2048'", "add a unit: B, KiB, MiB or GiB"
  ),
  Wrong(
    "format: csv\nlimits: { window: 3MiB }", "7:23", ".limits.window",
    "expected a power of two, found 3145728 bytes"),
  Wrong(
    "format: csv\ncheckpoint: { interval: -1s }", "7:29", ".checkpoint.interval",
    "expected a duration such as 10s, from 1ms to 1d, found '-1s'"),
  Wrong(
    "format: csv\ncheckpoint: { keep: 0 }", "7:25", ".checkpoint.keep",
    "expected a whole number from 1 to 1000, found '0'"),
  Wrong(
    "format: csv\nparameters: { watch: true }", "7:5", ".parameters.file",
    "expected a path, found nothing"),
  Wrong(
    "format: csv\nparameters: { learn: {} }", "7:19", ".parameters.learn.optimizer",
    "expected one of sgd, adam, adamw, found nothing"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: adam, momentum: 0.9 } }", "7:55",
    ".parameters.learn.momentum", "expected optimizer: sgd, found adam"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: sgd, betas: [0.9, 0.99] } }", "7:44",
    ".parameters.learn.betas", "expected optimizer: adam or adamw, found sgd"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: sgd, nesterov: true } }", "7:54",
    ".parameters.learn.nesterov", "expected a momentum above 0 beside nesterov, found 0"),
  Wrong(
    "format: csv\nparameters: { file: g, learn: { optimizer: sgd } }", "7:25", ".parameters.file",
    "expected no file beside parameters.learn, which it would undo at every start; "
      + "PUT …/parameters sets the first γ and β"),
  Wrong(
    "format: csv\nparameters: { learn: { optimizer: sgd, weight_bounds: [1] } }", "7:44",
    ".parameters.learn.weight_bounds",
    "expected two numbers of at least 0, the smaller one first, such as [0.001, 1000]"),
  Wrong(
    "format: csv\nrestart: { initial: 10s, max: 1s }", "7:35", ".restart.max",
    "expected max to be at least initial, found less"),
  Wrong(
    "format: csv\ndictionary: /nowhere/words", "7:17", ".dictionary",
    "expected a dictionary, found cannot open /nowhere/words: No such file or directory"),
  Wrong(
    "format: csv\nbatch:\n  size: ${SIZE}", "8:13", ".batch.size",
    "the variable 'SIZE' is not set", "write '${SIZE:-default}' for a default"),
  Wrong(
    "format: csv\nbatch: { size: '${SIZE:-x}' }", "7:20", ".batch.size",
    "expected a whole number from 1 to 1048576, or record_batch, found '${SIZE:-x}'"),
]

private func withEnds(_ source: String, _ sink: String, rest: String = "") -> String {
  "state_directory: s\nstreams:\n  a:\n    source: \(source)\n    sink: \(sink)\n    format: csv\n"
    + rest
}

private let stream = "source: { file: { path: i } }, format: csv"

private let wrongFiles = [
  Wrong(
    file: "streams: { a: { \(stream), sink: stdout } }", "1:1", "state_directory",
    "expected a path, found nothing"),
  Wrong(file: "state_directory: s", "1:1", "streams", "expected a mapping from names to streams"),
  Wrong(
    file: "state_directory: s\nstraems: {}\nstreams: {}", "2:1", "straems", "unknown key",
    "did you mean 'streams'?"),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: 9600 }\nstreams: {}", "2:20", "control.listen",
    "expected host:port, unix:PATH with an absolute path, a list of up to 8 of them, or off, found '9600'"
  ),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: ['127.0.0.1:1', '127.0.0.1:1'] }\nstreams: {}",
    "2:12",
    "control.listen", "expected host:port", "name each address once"),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: ['127.0.0.1:1', 'unix:rel.sock'] }\nstreams: {}",
    "2:12", "control.listen", "expected an absolute path after 'unix:', found a relative one"),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: ['127.0.0.1:1', 'here'] }\nstreams: {}",
    "2:12", "control.listen",
    "expected host:port, unix:PATH with an absolute path, a list of up to 8 of them, or off, found a list "
      + "whose item 2 is none of these"),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: '::1:9600' }\nstreams: {}", "2:20",
    "control.listen",
    "expected host:port, unix:PATH with an absolute path, a list of up to 8 of them, or off, found '::1:9600'"
  ),
  Wrong(
    file: "state_directory: s\nlog: { level: loud }\nstreams: {}", "2:15", "log.level",
    "expected one of trace, debug, info, notice, warning, error, critical, found 'loud'"),
  Wrong(
    file: "state_directory: s\nmetrics: { per_feature: sometimes }\nstreams: {}", "2:25",
    "metrics.per_feature", "expected true or false, found 'sometimes'"),
  Wrong(
    file: "state_directory: s\nshutdown_timeout: 20\nstreams: {}", "2:19", "shutdown_timeout",
    "expected a duration such as 10s, from 0ms to 1h, found '20'", "add a unit: \(durations)"),
  Wrong(
    file: "state_directory: s\nstreams:\n  a/b: { \(stream), sink: stdout }", "3:3", "streams.a/b",
    "expected a name of at most 64 letters, digits, '.', '_' and '-', no '.' first, and not 'lock', since it names a "
      + "directory"),
  Wrong(
    file: "state_directory: s\nstreams:\n  ..: { \(stream), sink: stdout }", "3:3", "streams...",
    "expected a name of at most 64 letters"),
  Wrong(
    file: withEnds("{ fil: { path: i } }", "stdout"), "4:15", "streams.a.source.fil", "unknown key",
    "did you mean 'file'?"),
  Wrong(
    file: withEnds("{ file: {} }", "stdout"), "4:15", "streams.a.source.file.path",
    "expected a path, found nothing"),
  Wrong(
    file: withEnds("{ file: { path: i, pth: j } }", "stdout"), "4:32", "streams.a.source.file.pth",
    "unknown key", "did you mean 'path'?"),
  Wrong(
    file: withEnds("stdin", "{ file: { path: o, rotate: { size: 5 } } }"), "5:46",
    "streams.a.sink.file.rotate.size", "expected a size such as 64MiB",
    "add a unit: B, KiB, MiB or GiB"),
  Wrong(
    file: withEnds("{ file: { path: /x } }", "{ file: { path: /x } }"), "5:5", "streams.a.sink",
    "expected a sink other than the source"),
  Wrong(
    file: withEnds("{ directory: { path: /x/ } }", "{ file: { path: /x/o } }"), "5:5",
    "streams.a.sink", "expected a sink outside the directory of the source"),
  Wrong(
    file: withEnds(
      "{ file: { path: i } }", "{ file: { path: /x/o } }",
      rest: "  b: { \(stream), sink: { file: { path: /x//./o } } }"), "7:74",
    "streams.b.sink.file.path", "expected a sink that no other stream has, found that of stream 'a'"
  ),
  Wrong(
    file: withEnds(
      "{ unix: { path: /s } }", "stdout",
      rest:
        "  b:\n    source: { unix: { path: /s } }\n    format: csv\n    sink: { file: { path: o } }"
    ),
    "8:29", "streams.b.source.unix.path",
    "expected a source that no other stream has, found that of stream 'a'"),
  Wrong(
    file: withEnds(
      "stdin", "{ file: { path: o } }", rest: "  b: { source: stdin, format: csv, sink: stdout }"),
    "7:16", "streams.b.source.stdin",
    "expected a source that no other stream has, found that of stream 'a'"),
  Wrong(
    file: withEnds("{ file: { path: i } }", "{ file: { path: o.ndjson } }"), "5:27",
    "streams.a.sink.file.path", "expected output.format: ndjson, found csv, which the name"),
  Wrong(
    file: withEnds(
      "{ file: { path: i } }", "{ file: { path: o.zst } }", rest: "    compression: off"), "5:27",
    "streams.a.sink.file.path", "expected a name without .zst for output that is not compressed"),
  Wrong(
    file: withEnds("{ file: { path: i } }", "stdout", rest: "    batch: { max_delay: 1s }"), "7:25",
    "streams.a.batch.max_delay", "expected a live source, since time cuts no batch of a file, found"
  ),
  Wrong(
    file: withEnds("{ file: { path: i } }", "stdout", rest: "    on_schema_change: skip"), "7:23",
    "streams.a.on_schema_change",
    "expected a source of several files or connections, found source file"),
  Wrong(
    file: withEnds("{ fifo: { path: i } }", "stdout", rest: "    on_bad_split: skip"), "7:19",
    "streams.a.on_bad_split",
    "expected a source of several files, directory or follow, found source fifo"),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: 0.0.0.0:9600 }\nstreams: {}", "2:20",
    "control.listen", "expected a loopback address (127.0.0.1, [::1]) or unix:PATH, found one that",
    "a proxy with TLS can lead to it"),
  Wrong(
    file: "state_directory: s\ncontrol: { listen: server:9600 }\nstreams: {}", "2:20",
    "control.listen", "expected host:port, unix:PATH"),
  Wrong(file: "a: [1\nb: 2", "2:2", "", "not YAML: while parsing a flow sequence"),
  Wrong(
    file: "a: { b: ${C} }", "1:10", "", "not YAML: while parsing a flow mapping",
    "put quotes around a value with '${' within { } or [ ]"),
  Wrong(
    file: "state_directory: s\nstreams: {}\nstreams: {}", "3:1", "streams",
    "expected the key once, found it again"),
  Wrong(file: "- a", "1:1", "", "expected a mapping, found a list"),
]

@Suite struct DaemonConfigurationErrorTests {
  @Test(arguments: wrongSettings + wrongEnds + wrongFiles)
  private func `a wrong configuration is told by line, column, path and hint`(
    wrong: Wrong
  ) throws {
    let errors = try configurationErrors(wrong.text)
    let error = try #require(errors.first, "no error in:\n\(wrong.text)")
    #expect(errors.count == 1, "\(errors)")
    #expect("\(error.line):\(error.column)" == wrong.place, "\(error)")
    #expect(error.path == wrong.path)
    #expect(error.message.hasPrefix(wrong.says), "\(error)")
    #expect(error.hint == wrong.hint)
  }

  @Test func `the table is as long as it should be`() {
    #expect((wrongSettings + wrongEnds + wrongFiles).count >= 45)
  }

  @Test func `all errors of all streams are told at once, as lines for an editor`() throws {
    let text = oneStream(
      "format: csv\nbatch: { sise: 3, max_delay: 5 }\nnormalize: { epsilon: -1 }")
    let lines = try configurationErrors(text).map(\.description)
    #expect(lines.count == 3)
    #expect(
      lines.first?.hasSuffix(
        "/evenkeel.yaml:7:14: streams.weather.batch.sise: unknown key; did you mean 'size'?")
        == true)
    #expect(
      lines.last?.hasSuffix(
        ":8:27: streams.weather.normalize.epsilon: expected a finite number of at least 0, found '-1'"
      )
        == true)
  }
}
