import Records
import State
import Storage
import TestSupport
import Testing

/// The lists of exports and imports, and what all of them share.
@Suite struct InterchangeTests: InterchangeSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func `the lists hold what the command line names`() {
    #expect(BuiltInExports.all.map(\.name) == ["pytorch", "folded", "json"])
    #expect(BuiltInImports.all.map(\.name) == ["pytorch", "json"])
    #expect(BuiltInExports.named("onnx") == nil)
    #expect(BuiltInImports.named("folded") == nil)
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

  @Test func `a checkpoint that cannot be folded is refused`() throws {
    var checkpoint = Checkpoint(features: ["a"])
    #expect(
      message { try export(checkpoint, "folded") }
        .hasSuffix("settings: expected epsilon, which folding needs, found nothing"))
    checkpoint.settings["epsilon"] = "-1"
    #expect(
      message { try export(checkpoint, "folded") }
        .hasSuffix("settings: epsilon: expected a number of 0 or more, found '-1'"))
    checkpoint.settings["epsilon"] = "0"
    checkpoint.runningVariance = [1e-300]
    checkpoint.weight = [1e200]
    #expect(
      message { try export(checkpoint, "folded") }
        .contains("feature 'a': expected a finite scale and shift, found inf and "))
    #expect(try POSIXFileSystem().list(directory.path) == [])
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

  @Test func `a relative ε and a denominator of 0 are exported as they are applied`() throws {
    var checkpoint = Checkpoint(
      features: ["a", "b"], settings: ["epsilon.relative": "0.25", "clip": "7.0"])
    checkpoint.weight = [3, 2]
    checkpoint.bias = [1, -1]
    checkpoint.runningMean = [10, 0.5]
    checkpoint.runningVariance = [3.2, 0]
    checkpoint.batchesTracked = 9
    let said = [
      "evenkeel.features": #"["a","b"]"#, "evenkeel.epsilon_relative": "0.25",
      "evenkeel.clip_left_out": "7.0",
    ]
    let folded = try Safetensors(serialized: export(checkpoint, "folded"))
    #expect(try folded.doubles("scale", count: 2) == [1.5, 0])
    #expect(try folded.doubles("shift", count: 2) == [-14, -1])
    #expect(folded.metadata == said)
    let module = try Safetensors(serialized: export(checkpoint, "pytorch"))
    #expect(try module.doubles("running_var", count: 2) == [4, 1])
    #expect(try module.doubles("weight", count: 2) == [3, 0])
    #expect(try module.doubles("bias", count: 2) == [1, -1])
    #expect(
      module.metadata
        == said.merging(["format": "pt", "evenkeel.module_eps": "0.0"]) { $1 })
    checkpoint.settings = ["epsilon": "0.001"]
    let plain = try Safetensors(serialized: export(checkpoint, "pytorch"))
    #expect(try plain.doubles("running_var", count: 2) == [3.2, 0])
    #expect(plain.metadata["evenkeel.module_eps"] == "0.001")
  }
}
