import Records
import State
import Storage
import TestSupport
import Testing

/// Exports to PyTorch's BatchNorm1d and imports from it.
@Suite struct PyTorchInterchangeTests: InterchangeSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

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
    expected.recordsTracked = 0
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
        == "tensor 'running_mean': expected 1 number, one for each feature, found 3")
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
}
