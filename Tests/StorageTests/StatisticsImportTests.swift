import Records
import State
import Storage
import TestSupport
import Testing

/// Moments and weights of other tools, as files that are not Evenkeel's own.
@Suite struct StatisticsImportTests: InterchangeSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func `moments of another tool are read from a small JSON`() throws {
    let json =
      #"{"features":["a","b"],"mean":[1,2],"variance":[4,9],"count":[1000,10],"epsilon":0.001}"#
    let checkpoint = try `import`(Array("\u{FEFF}\(json)".utf8), "json")
    #expect(checkpoint.features == ["a", "b"])
    #expect(checkpoint.runningMean == [1, 2] && checkpoint.runningVariance == [4, 9])
    #expect(checkpoint.weight == [1, 1] && checkpoint.bias == [0, 0])
    #expect(checkpoint.state[count: "evenkeel.moments.batches"] == [3, 1])
    #expect(checkpoint.state[real: "evenkeel.moments.weight"] == [1000, 10])
    #expect(checkpoint.settings == ["epsilon": "0.001"])
    let bare = try `import`(
      Array(#"{"mean":[1],"variance":[0],"count":5,"weight":[2],"bias":[3]}"#.utf8), "json")
    #expect(bare.features == ["f0"] && bare.weight == [2] && bare.bias == [3])
  }

  @Test(arguments: [
    (#"{"mean":[1],"variance":[1]}"#, "'count' in the file: expected a value, found nothing"),
    (
      #"{"mean":[1,2],"variance":[1],"count":1}"#,
      "'variance' in the file: expected 2 numbers, one a feature, found 1"
    ),
    (
      #"{"mean":["x"],"variance":[1],"count":1}"#,
      "'mean[0]' in the file: expected a number, found a text"
    ),
    (
      #"{"mean":[1],"variance":[1],"count":0}"#,
      "'count' in the file: expected counts from 1 to 2^53, found 0.0"
    ),
    (
      #"{"mean":[1],"variance":[1],"count":0.5}"#,
      "'count' in the file: expected counts from 1 to 2^53, found 0.5"
    ),
    (
      #"{"mean":[],"variance":[],"count":10}"#,
      "file: expected the moments of a feature, found none"
    ),
    (#"{"mean":[1],"variance":[-1],"count":1}"#, "running_var of feature 'f0': expected "),
    (
      #"{"features":["a","a"],"mean":[1,1],"variance":[1,1],"count":1}"#,
      "features: expected feature names that differ, found 'a' twice"
    ),
    (
      #"{"variance":[1]}"#,
      "file: expected 'version', or 'mean', 'variance' and 'count', found neither"
    ),
    (#"{"mean":[1],"#, "file: expected valid JSON"),
  ])
  func `moments of another tool are refused in our words`(json: String, says: String) {
    #expect(
      refusal(Array(json.utf8), "json").hasPrefix(says), "\(refusal(Array(json.utf8), "json"))")
  }

  @Test func `the count of batches may be a float, or a vector of one`() throws {
    func file(_ count: Safetensors.Tensor) throws -> [UInt8] {
      try Safetensors(tensors: [
        "running_mean": .init([1.0]), "running_var": .init([2.0]), "num_batches_tracked": count,
      ]).serialized()
    }
    let one = Safetensors.Tensor([7])
    let float = Safetensors.Tensor([7.0])
    for count in [one, float] {
      let checkpoint = try `import`(try file(count), "pytorch")
      #expect(checkpoint.batchesTracked == 7)
    }
    for wrong in [Safetensors.Tensor([7.5]), .init([1, 2]), .init([Double.nan])] {
      #expect(
        refusal(try file(wrong), "pytorch").hasPrefix(
          "tensor 'num_batches_tracked': expected one whole number"))
    }
  }

  @Test(
    arguments: [
      [0x50, 0x4B, 0x03, 0x04], [0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46],
      [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A],
    ] as [[UInt8]])
  func `weights in another kind of file are named`(start: [UInt8]) {
    let text = refusal(start + Array(repeating: 0, count: 40), "pytorch")
    #expect(text.hasPrefix("file: expected a safetensors file, found a"), "\(text)")
  }
}
