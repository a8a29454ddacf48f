import BatchNormalization
import Codecs
import Configuration
import Operators
import Records
import TestSupport
import Testing

@testable import Stream

/// The error of a command line with settings of a stream, or nil.
private func refusal(_ arguments: [String], format: RecordFormat = .csv) -> String? {
  let groups = Catalogue.builtIn.streamSettings + [format.settings]
  do throws(CommandLineError) {
    let given = try CommandLineSettings(arguments, of: groups, others: [])
    let values = try given.read(groups)
    try given.check(groups, values)
    let violations = Catalogue.builtIn.violations(of: format, in: values)
    return violations.first.map { "\(CommandLineError($0))" }
  } catch {
    return "\(error)"
  }
}

/// Inputs, outputs, options, and the start of the error.
private let outputNames: [(String, String, String, String?)] = [
  ("in.csv", "out.ndjson", "", "expected --output-format ndjson, found csv, which"),
  ("in.npy", "out.csv", "", "expected --output-format csv, found raw, which"),
  ("in.ndjson", "out.tsv.zst", "", "expected --output-format csv, found ndjson, which"),
  ("in.csv", "out.csv.zst", "--no-compress", "expected a name without .zst for output that"),
  ("in.csv", "out.tsv", "", "expected another name: the output keeps the delimiter of the input"),
  ("in.csv", "out.ndjson", "--output-format ndjson", nil),
  ("in.csv", "out.ndjson", "--output-format csv", nil), ("in.csv", "out.txt", "", nil),
  ("in.csv", "out", "", nil), ("in.tsv", "out.tsv", "", nil), ("in.tsv", "out.csv", "", nil),
  ("in.csv", "out.tsv", "--delimiter ,", nil),
  ("in.csv", "out.tsv", "--output-format csv --delimiter \\t", nil),
  ("in.csv", "out.f64", "--output-format raw", nil), ("in.npy", "out.f32", "", nil),
]

@Suite struct StreamSettingTests {
  @Test(arguments: [
    (
      ["--batch-size", "0"],
      "--batch-size: expected a whole number from 1 to 1048576, or record_batch, found '0'"
    ),
    (
      ["--batch-size=1048577"],
      "--batch-size: expected a whole number from 1 to 1048576, or record_batch, found"
    ),
    (
      ["--batch-size", "3", "--min-batch-size", "4"],
      "--min-batch-size: expected at most the batch size 3, found 4"
    ),
    (["--long", "32"], "--long: expected a whole number from 10 to 31, found '32'"),
    (["--max-fields", "0"], "--max-fields: expected a whole number from 1 to 1000000, found '0'"),
    (["--max-depth=1025"], "--max-depth: expected a whole number from 1 to 1024, found '1025'"),
    (["--max-growth=0"], "--max-growth: expected a whole number from 1 to 1000000, found '0'"),
    (
      ["--max-record-bytes=0"], "--max-record-bytes: expected a size such as 64MiB, from 1B to 1GiB"
    ),
    (["--level", "23"], "--level: expected a whole number from "),
    (
      ["--output-format", "parquet"],
      "--output-format: expected one of csv, ndjson, raw, arrow, found"
    ),
    (["--epsilon=-1"], "--epsilon: expected a finite number of at least 0, found '-1'"),
    (["--clip", "nan"], "--clip: expected a finite number above 0, or off, found 'nan'"),
    (
      ["--epsilon", "0", "--epsilon-relative", "0"],
      "--epsilon-relative: expected an absolute ε or a relative one, found both"
    ),
    (
      ["--warm-up-batches", "4"],
      "--warm-up-batches: expected --warm-up-records, which replaces it"
    ),
    (
      ["--delimiter", "1"],
      "--delimiter: expected a delimiter that cannot be part of a number, found '1'"
    ),
    (
      ["--warm-up-emit", "hold", "--warm-up-records", "1048577"],
      "--warm-up-records: expected at most 1048576 records to hold, found 1048577"
    ),
    (
      ["--renorm-max-scale", "2"], "--renorm-max-scale: expected --mode renorm, found running"
    ),
    (
      ["--momentum", "0.1", "--half-life-records", "9"],
      "--half-life-records: expected one of momentum and a half-life, found both"
    ),
    (
      ["--min-batch-size", "3"],
      "--min-batch-size: expected no --min-batch-size beside --mode running, found both"
    ),
    (
      ["--warm-up-records", "0", "--warm-up-emit", "hold"],
      "--warm-up-emit: expected no --warm-up-emit beside --warm-up-records 0, found both"
    ),
    (
      ["--frozen", "--update-first"],
      "--update-first: expected no --update-first beside --frozen, found both"
    ),
    (
      ["--no-compress", "--level", "3"],
      "--level: expected no --level beside --no-compress, found both"
    ),
    (
      ["--features", ""],
      "--features: expected names separated by commas, or no such option, found none"
    ),
    (
      ["--exclude="],
      "--exclude: expected names separated by commas, or no such option, found none"
    ),
  ])
  func `a wrong setting is refused with its option`(arguments: [String], says: String) {
    let told = refusal(arguments) ?? "nothing"
    #expect(told.hasPrefix(says), "\(told)")
  }

  @Test(arguments: [
    ([], "--columns: expected a whole number from 1 to 1000000, found nothing"),
    (
      ["--columns", "9", "--max-fields", "8"],
      "--columns: expected at most the 8 fields of a record, found 9"
    ),
    (
      ["--columns", "2", "--features", "f2"],
      "--features: expected a column that 'f2' matches, found none among 'f0', 'f1'"
    ),
    (
      ["--columns", "2", "--features", "f1", "--scalar", "float64"],
      "--precision: expected float64, the width of the columns that are no features and pass "
        + "unchanged, found float32; or make every column a feature"
    ),
    (["--columns", "2", "--features", "f1", "--scalar=float64", "--precision=float64"], nil),
    (["--columns", "2", "--features", "f1", "--scalar=float64", "--output-format=csv"], nil),
    (["--columns", "2", "--features", "f*", "--scalar=float64"], nil),
    (
      ["--columns", "512", "--batch-size", "1048576"],
      "--batch-size: expected a batch of at most 1073741824 bytes, as limits.batch_bytes says, "
        + "found one of 2147483648"
    ),
    (["--columns", "512", "--batch-size", "1048576", "--features", "f1"], nil),
    (["--columns", "256", "--batch-size", "1048576"], nil),
  ])
  func `settings of raw rows that fail at every start are refused`(
    arguments: [String], says: String?
  ) {
    #expect(refusal(arguments, format: .raw) == says)
  }

  @Test(arguments: [
    (["--columns", "3"], "--columns: expected input of raw, found csv"),
    (["--quoted-numbers"], "--quoted-numbers: expected input of ndjson, found csv"),
    (
      ["--output-format", "raw", "--columns", "3"], "--columns: expected input of raw, found csv"
    ),
    (["--comment", "#"], nil), (["--output-format", "ndjson", "--skip-rows", "1"], nil),
  ])
  func `an option of another format is refused`(arguments: [String], says: String?) {
    #expect(told(of: "in.csv", "-", arguments) == says)
  }

  @Test func `an option that only reading needs is refused for a format that is written`() {
    let options = ["--output-format", "csv"]
    #expect(told(of: "in.ndjson", "-", options + ["--delimiter", ";", "--decimal", ","]) == nil)
    #expect(
      told(of: "in.ndjson", "-", options + ["--no-header"])
        == "--no-header: expected input of csv, found ndjson")
  }

  @Test(arguments: outputNames)
  func `the name of an output must not contradict its content`(
    input: String, output: String, options: String, says: String?
  ) {
    let told = told(of: input, output, options.split(separator: " ").map(String.init))
    #expect((told == nil) == (says == nil), "\(told ?? "")")
    if let says { #expect(told?.hasPrefix("--output: \(says)") == true, "\(told ?? "")") }
  }

  /// The error of a command from one path to another, or nil.
  private func told(of input: String, _ output: String, _ options: [String]) -> String? {
    let catalogue = Catalogue.builtIn
    let path = Setting("-", .text, default: "-", option: .value("output", "path"), help: "")
    let own = [SettingGroup("Files", [path])]
    let groups = own + catalogue.streamSettings + catalogue.formats.map(\.settings)
    do throws(CommandLineError) {
      let given = try CommandLineSettings(
        options + ["--output", output], of: groups, others: [])
      _ = try catalogue.settings(of: input, to: path, in: given, besides: own)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func `a dictionary that zstd cannot load is refused`() throws {
    let directory = try TemporaryDirectory()
    // The magic number of a dictionary without the rest.
    let path = try directory.write("words", [0x37, 0xA4, 0x30, 0xEC, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    let errors = try configurationErrors(oneStream("format: csv\ndictionary: \(path)"))
    #expect(
      errors.map(\.message) == [
        "expected a dictionary, found \(path): dictionary: expected one that zstd can load, "
          + "found another"
      ])
  }

  @Test func `a batch size of one lowers the least batch size`() throws {
    #expect(refusal(["--batch-size", "1"]) == nil)
    let stream = try onlyStream(oneStream("format: csv\nbatch: { size: 1 }"))
    #expect(stream.stream.normalization.minBatchSize == 1)
  }

  @Test func `a preset lists the keys that it sets`() {
    func texts(_ name: String) -> [String]? {
      NormalizeSettings.group.presets.first { $0.name == name }?.texts
        .map { "\($0.setting.key ?? "") \($0.text)" }
    }
    #expect(
      texts("keras") == [
        "update_first false", "momentum 0.01", "epsilon 0.001", "estimator batch_norm",
        "variance biased", "bias_correction false", "warm_up.records 0", "clip off",
      ])
    #expect(
      texts("online") == [
        "update_first false", "half_life.records 1700", "epsilon.relative 1e-5",
        "estimator total", "bias_correction true", "warm_up.records 9007199254740992", "clip 5",
      ])
  }

  @Test func `a preset sets the size of batches too, and what is given counts before it`() throws {
    let river = try onlyStream(oneStream("format: csv\nnormalize: { preset: river }")).stream
    #expect(river.batch.size == 1)
    var expected = NormalizationSettings(preset: .river)
    expected.minBatchSize = 1
    #expect(river.normalization == expected)
    let given = try onlyStream(
      oneStream(
        """
        format: csv
        batch: { size: 7 }
        normalize: { preset: keras, half_life: { records: 9 }, epsilon: { relative: 0 }, clip: 3 }
        """)
    ).stream
    #expect(given.batch.size == 7)
    #expect(given.normalization.momentum == .halfLifeRecords(9))
    #expect(given.normalization.epsilon == .relative(0))
    #expect(given.normalization.clip == 3)
    #expect(given.normalization.estimator == .batchNorm)
    let unlimited = try onlyStream(oneStream("format: csv\nnormalize: { clip: off }")).stream
    #expect(unlimited.normalization.clip == nil)
  }
}
