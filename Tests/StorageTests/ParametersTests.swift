import Storage
import Testing

struct ParametersTests {
  @Test func `weight and bias are read with the names where they are known`() throws {
    #expect(
      try ParametersFile.read(goldenPath("parameters.safetensors"))
        == Parameters(
          features: ["temp", "humid", "wind"], weight: [1.5, 1, -0.5], bias: [0.25, 0, -4]))
    #expect(
      try ParametersFile.read(goldenPath("batchnorm1d.safetensors"))
        == Parameters(weight: [1.5, 1, -0.5], bias: [0.25, 0, -4]))
  }

  @Test func `a whole checkpoint is taken if it is not damaged`() throws {
    let path = try goldenPath("checkpoint-v2.safetensors")
    #expect(try ParametersFile.read(path).features == sampleCheckpoint().features)
    #expect(try ParametersFile.read(path).weight == [1.5, 1, -0.5])
    var bytes = try golden("checkpoint-v2.safetensors")
    bytes[bytes.count - 1] ^= 1
    #expect(message { try Parameters(serialized: bytes) }.hasPrefix("damaged"))
  }

  @Test func `shape and finiteness are checked`() throws {
    func refusal(_ tensors: [String: Safetensors.Tensor], _ names: String? = nil) throws -> String {
      let metadata = names.map { ["evenkeel.features": $0] } ?? [:]
      let bytes = try Safetensors(tensors: tensors, metadata: metadata).serialized()
      return message { try Parameters(serialized: bytes) }
    }
    #expect(
      try refusal(["weight": .init([1.0, 2])])
        == "tensor 'bias': expected numbers [2], found nothing")
    #expect(
      try refusal(["weight": .init([1.0, 2]), "bias": .init([1.0])])
        == "tensor 'bias': expected numbers [2], found F64 [1]")
    #expect(
      try refusal(["weight": .init(scalar: 1), "bias": .init([1.0])])
        == "tensor 'weight': expected numbers [d], found I64 []")
    #expect(
      try refusal(["weight": .init([1.0, .nan]), "bias": .init([1.0, 2])])
        == "weight of feature 'f1': expected a finite number, found nan")
    #expect(
      try refusal(["weight": .init([1.0]), "bias": .init([1.0])], #"["a","b"]"#)
        == "weight: expected 2 numbers, one for each feature, found 1")
    #expect(
      try refusal(["weight": .init([1.0, 2]), "bias": .init([1.0, 2])], #"["a","a"]"#)
        .hasPrefix("features: expected feature names that differ"))
  }
}
