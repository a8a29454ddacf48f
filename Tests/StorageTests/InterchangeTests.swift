import Records
import State
import Storage
import TestSupport
import Testing

struct InterchangeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func export(_ checkpoint: Checkpoint, _ name: String) throws -> [UInt8] {
    try #require(BuiltInExports.named(name)).write(checkpoint, to: directory.file("x"))
    return try POSIXFileSystem().contents(of: directory.file("x"), limit: 1 << 30)
  }

  private func `import`(
    _ bytes: [UInt8], _ name: String, _ change: (inout ImportOptions) -> Void = { _ in }
  ) throws -> Checkpoint {
    try POSIXFileSystem().replace(directory.file("x"), with: bytes)
    var options = ImportOptions()
    change(&options)
    return try #require(BuiltInImports.named(name)).read(directory.file("x"), options: options)
  }

  /// The message of a refused import, without the path.
  private func refusal(
    _ bytes: [UInt8], _ name: String, _ change: (inout ImportOptions) -> Void = { _ in }
  ) -> String {
    message { try `import`(bytes, name, change) }
      .replacing("\(directory.file("x")): ", with: "")
  }

  @Test func `the lists hold what the command line names`() {
    #expect(BuiltInExports.all.map(\.name) == ["pytorch", "folded", "json"])
    #expect(BuiltInImports.all.map(\.name) == ["pytorch", "json"])
    #expect(BuiltInExports.named("onnx") == nil)
    #expect(BuiltInImports.named("folded") == nil)
  }

  @Test func `the PyTorch export holds the five tensors of BatchNorm1d and no other`() throws {
    let file = try Safetensors(serialized: export(sampleCheckpoint(), "pytorch"))
    #expect(
      file.tensors.keys.sorted()
        == ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"])
    #expect(try file.doubles("running_mean", count: 3) == [10.1, -3.25, 1e9])
    #expect(try file.integer("num_batches_tracked") == 12)
    #expect(file.metadata["format"] == "pt")
  }

  @Test func `a PyTorch export comes back but for what PyTorch does not hold`() throws {
    var expected = sampleCheckpoint()
    expected.settings = [:]
    expected.input = nil
    expected.values = [0, 0, 0]
    expected.varianceValues = [0, 0, 0]
    expected.batches = [12, 12, 12]
    expected.varianceBatches = [12, 12, 12]
    expected.missing = [0, 0, 0]
    expected.clipped = [0, 0, 0]
    expected.stateVersion = 0
    expected.parametersVersion = 0
    #expect(try `import`(export(sampleCheckpoint(), "pytorch"), "pytorch") == expected)
  }

  @Test func `a state of PyTorch is taken with names and batch size where they are given`() throws {
    let bytes = try golden("batchnorm1d.safetensors")
    var expected = Checkpoint(features: ["f0", "f1", "f2"])
    expected.weight = [1.5, 1, -0.5]
    expected.bias = [0.25, 0, -4]
    expected.runningMean = [10.5, -3.25, 0]
    expected.runningVariance = [4, 0.0625, 1]
    expected.batchesTracked = 12
    expected.batches = [12, 12, 12]
    expected.varianceBatches = [12, 12, 12]
    #expect(try `import`(bytes, "pytorch") == expected)
    expected.rename(["a", "b", "c"])
    expected.values = [3072, 3072, 3072]
    expected.varianceValues = [3072, 3072, 3072]
    expected.settings = ["epsilon": "0.001"]
    let imported = try `import`(bytes, "pytorch") {
      $0.features = ["a", "b", "c"]
      $0.valuesPerBatch = 256
      $0.epsilon = 0.001
    }
    #expect(imported == expected)
  }

  @Test func `a module without affine parameters is found by its prefix in a model`() throws {
    let bytes = try golden("model.safetensors")
    let checkpoint = try `import`(bytes, "pytorch") { $0.prefix = "bn1." }
    #expect(checkpoint.runningMean == [10.5, -3.25, 0])
    #expect(checkpoint.weight == [1, 1, 1])
    #expect(checkpoint.bias == [0, 0, 0])
    #expect(checkpoint.batchesTracked == 7)
    #expect(
      refusal(bytes, "pytorch")
        == "tensor 'running_mean': expected numbers [d], found nothing; "
        + "there is 'bn1.running_mean': is the prefix right?")
  }

  @Test func `a state without a count of batches counts as one batch`() throws {
    let checkpoint = try `import`(golden("without_count.safetensors"), "pytorch")
    #expect(checkpoint.batchesTracked == 1)
    #expect(checkpoint.batches == [1, 1, 1])
  }

  @Test func `a PyTorch file that does not fit is refused`() throws {
    let bytes = try golden("batchnorm1d.safetensors")
    #expect(
      refusal(bytes, "pytorch") { $0.features = ["a"] }
        == "tensor 'running_mean': expected 1 numbers, one for each feature, found 3")
    #expect(
      refusal(bytes, "pytorch") { $0.features = ["a", "b", "a"] }
        .hasPrefix("features: expected feature names that differ"))
    var file = try Safetensors(serialized: bytes)
    file.tensors["running_var"] = .init([1.0, -1, 1])
    #expect(
      refusal(try file.serialized(), "pytorch")
        == "running_var of feature 'f1': expected a finite number of 0 or more, found -1.0")
    file.tensors["running_var"] = nil
    #expect(
      refusal(try file.serialized(), "pytorch")
        == "tensor 'running_var': expected numbers [3], found nothing")
    file = try Safetensors(serialized: bytes)
    file.tensors["num_batches_tracked"] = .init(scalar: -1)
    #expect(refusal(try file.serialized(), "pytorch").contains("expected 0 to 2^53, found -1"))
    file.tensors["num_batches_tracked"] = .init(scalar: .max)
    #expect(
      refusal(try file.serialized(), "pytorch") { $0.valuesPerBatch = 2 }
        == "tensor 'num_batches_tracked': expected a count of batches, found \(Int.max)")
  }

  @Test func `the folded pair is the transform`() throws {
    var checkpoint = Checkpoint(
      features: ["a", "b"], settings: ["epsilon": "0.25", "variance_floor": "0.75"])
    checkpoint.weight = [3, 2]
    checkpoint.bias = [1, -1]
    checkpoint.runningMean = [10, 0.5]
    checkpoint.runningVariance = [2, 0.5]
    let file = try Safetensors(serialized: export(checkpoint, "folded"))
    #expect(Set(file.tensors.keys) == ["scale", "shift"])
    #expect(try file.doubles("scale", count: 2) == [2, 2])
    #expect(try file.doubles("shift", count: 2) == [-19, -2])
    #expect(
      file.metadata == ["evenkeel.features": #"["a","b"]"#, "evenkeel.epsilon": "0.25"])
  }

  @Test func `what cannot be folded is refused`() throws {
    var checkpoint = Checkpoint(features: ["a"])
    #expect(
      message { try export(checkpoint, "folded") }
        .hasSuffix("settings: expected epsilon, which folding needs, found nothing"))
    checkpoint.settings["epsilon"] = "-1"
    #expect(
      message { try export(checkpoint, "folded") }
        .hasSuffix("settings: epsilon: expected a number of 0 or more, found '-1'"))
    checkpoint.settings["epsilon"] = "0"
    checkpoint.runningVariance = [0]
    #expect(
      message { try export(checkpoint, "folded") }
        .contains("feature 'a': expected a finite scale and shift, found inf and "))
    #expect(try POSIXFileSystem().list(directory.path) == [])
  }

  @Test func `the JSON export reads as documented`() throws {
    var checkpoint = Checkpoint(features: ["a/\"b\""], settings: ["bias_correction": "true"])
    checkpoint.runningMean = [0.1]
    checkpoint.bias = [-0.0]
    checkpoint.input = InputCursor(splits: [SplitCursor(split: "a", byteOffset: 9, records: 1)])
    checkpoint.batchesTracked = 3
    #expect(
      String(decoding: try export(checkpoint, "json"), as: UTF8.self) == """
        {
          "features" : [
            {
              "affine" : {
                "bias" : -0,
                "weight" : 1
              },
              "moments" : {
                "batches" : 0,
                "mean" : 0.1,
                "variance" : 1,
                "variance_batches" : 0,
                "variance_weight" : 0,
                "weight" : 0
              },
              "name" : "a/\\"b\\"",
              "values" : {
                "clipped" : 0,
                "missing" : 0
              }
            }
          ],
          "input" : {
            "form" : "",
            "splits" : [
              {
                "byte_offset" : 9,
                "decoder" : "",
                "records" : 1,
                "split" : "a"
              }
            ]
          },
          "settings" : {
            "bias_correction" : "true"
          },
          "stream" : {
            "stream" : {
              "batches" : 3
            },
            "versions" : {
              "parameters" : 0,
              "state" : 0
            }
          },
          "version" : 2
        }

        """)
  }

  @Test func `a JSON export comes back exactly`() throws {
    var random = SeededGenerator()
    for count in [0, 1, 50] {
      let checkpoint = randomCheckpoint(count, using: &random)
      let read = try `import`(export(checkpoint, "json"), "json")
      // As files, because -0.0 == 0.0.
      #expect(try read.serialized() == checkpoint.serialized(), "seed \(random.seed)")
    }
    var extreme = sampleCheckpoint()
    extreme.bias = [-0.0, .leastNonzeroMagnitude, -.greatestFiniteMagnitude]
    extreme.batches = [StateColumn.countLimit, StateColumn.countLimit - 1, 0]
    #expect(
      try `import`(export(extreme, "json"), "json").serialized() == extreme.serialized())
  }

  @Test func `a number that is not finite is not written as JSON`() throws {
    var checkpoint = Checkpoint(features: ["a"])
    for number in [Double.nan, .infinity, -.infinity] {
      checkpoint.weight = [number]
      #expect(
        message { try ExportFormat.json.encode(checkpoint) }
          .hasPrefix("'weight' in the JSON: Unable to encode Double."))
    }
  }

  @Test func `JSON that is no checkpoint is refused with the member's path`() throws {
    let text = String(decoding: try export(sampleCheckpoint(), "json"), as: UTF8.self)
    let invalid = "file: expected valid JSON, with whole integers and numbers within range"
    for (old, new, expected) in [
      ("\"version\" : 2", "\"version\" : 3", "written in format version 3, newer than version 2"),
      ("\"version\" : 2", "\"version\" : 1", "written in format version 1, older than version 2"),
      ("\"version\" : 2", "\"version\" : 0.5", "version: expected a format version such as 2"),
      (
        "\"version\" : 2", "\"version\" : \"2\"",
        "'version' in the file: Expected to decode Double but found a string instead."
      ),
      (
        "\"mean\" : -3.25", "\"mean\" : \"x\"",
        "'features[1].moments.mean' in the file: Expected to decode Double but found a string"
      ),
      ("\"mean\" : -3.25", "\"mean\" : 1e999", invalid),
      (
        "\"mean\" : -3.25", "\"men\" : -3.25",
        "expected state that this Evenkeel knows, found 'moments.men': "
      ),
      ("\"values\" : {", "\"drift\" : {", "expected state that this Evenkeel knows, found 'drift'"),
      ("\"variance\" : 4.2", "\"variance\" : -4.2", "running_var of feature 'temp': expected a "),
      ("\"missing\" : 256", "\"missing\" : 2.5", invalid),
      (
        "\"missing\" : 256", "\"missing\" : 9007199254740993",
        "evenkeel.values.missing of feature 'humid': expected 0 to 2^53, found 9007199254740993"
      ),
      ("\"features\" : [", "\"features\" : [7,", "'features[0]' in the file: Expected to decode "),
      (
        "\"records\" : 3072", "\"records\" : null",
        "'input.splits[0].records' in the file: Cannot get "
      ),
      ("\"0.1\"", "0.1", "'settings.momentum' in the file: Expected to decode String but found "),
      ("}\n", "", invalid),
    ] {
      #expect(text.contains(old))
      #expect(refusal(Array(text.replacing(old, with: new).utf8), "json").hasPrefix(expected))
    }
    #expect(
      refusal(Array("[]".utf8), "json")
        == "file: Expected to decode Dictionary<String, Any> but found an array instead.")
  }

  @Test func `mutated files are refused or give a valid checkpoint, never a trap`() throws {
    var random = SeededGenerator()
    let pieces = ["0", "-", "{", "}", "\"", ",", "1e999", "null"].map { Array($0.utf8) }
    for (name, bytes, prefix) in [
      ("json", try export(sampleCheckpoint(), "json"), ""),
      ("pytorch", try golden("batchnorm1d.safetensors"), ""),
      ("pytorch", try golden("model.safetensors"), "bn1."),
    ] {
      let format = try #require(BuiltInImports.named(name))
      var options = ImportOptions()
      options.prefix = prefix
      var readCount = 0
      for _ in 0..<2000 {
        let mutated = random.mutated(bytes, with: pieces, changes: 1...2)
        guard let read = try? format.decode(mutated, options),
          (try? read.validate()) != nil
        else { continue }
        readCount += 1
        let bytes = try read.serialized()
        #expect(try Checkpoint(serialized: bytes) == read, "seed \(random.seed)")
      }
      // Otherwise the mutations are not what this test is about.
      #expect((20..<1980).contains(readCount), "\(name): \(readCount) of 2000, seed \(random.seed)")
    }
  }
}
