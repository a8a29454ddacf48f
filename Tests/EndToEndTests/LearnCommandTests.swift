import Foundation
import TestSupport
import Testing

extension Finished {
  fileprivate var text: String { String(decoding: output, as: UTF8.self) }
}

/// `evenkeel learn`: recorded gradients over a checkpoint.
@Suite struct LearnCommandTests {
  private let place: Workplace

  init() throws {
    place = try Workplace()
    try place.write("in.csv", "x,y\n1,5\n2,7\n4,6\n3,9\n".utf8)
    try place.write("g.ndjson", lines.joined(separator: "\n").utf8)
    try place.write("e.yaml", configuration().utf8)
    let fitted = try place.evenkeel("fit", "in.csv", "-o", "start", "--batch-size", "2")
    #expect(fitted.exitCode == 0, "\(fitted.errors)")
  }

  /// The versions are those of a stream with batches between the steps.
  private let lines = [
    #"{"version":7,"weight_grad":[1,-1],"bias_grad":[2,0.5],"count":3,"after_batch":4}"#, "",
    #"{"version":9,"weight_grad":[0.5,0],"bias_grad":[0,2]}"#,
    // x̂ of x is (1 − −1) / 0.25 = 8.
    #"{"version":12,"y":[[1,null]],"y_grad":[[0.125,1]]}"#,
  ]

  private func configuration(_ learn: String = "learn: { optimizer: sgd, learning_rate: 0.5 }")
    -> String
  {
    """
    state_directory: state
    streams:
      s:
        source: { file: { path: in.csv } }
        sink: { file: { path: out.csv } }
        format: csv
        batch: { size: 2 }
        parameters: { \(learn) }
    """
  }

  private func learn(
    _ others: String..., to output: String = "end", from start: String = "start"
  ) throws -> Finished {
    try place.start(
      [
        binary, "learn", "g.ndjson", "--config", "e.yaml", "--checkpoint-in", start, "-o", output,
      ] + others, input: nil
    ).wait()
  }

  /// γ and β of both features.
  private func parameters(_ checkpoint: String) throws -> [[Double]] {
    let text = Data(try place.evenkeel("inspect", "--json", checkpoint).output)
    let all = try #require(JSONSerialization.jsonObject(with: text) as? [String: Any])
    return try #require(all["features"] as? [[String: Any]]).map { feature in
      let affine = feature["affine"] as? [String: Double]
      return ["weight", "bias"].compactMap { affine?[$0] }
    }
  }

  @Test func `each line is a step against the γ and β in force`() throws {
    let learned = try learn()
    #expect(learned.exitCode == 0 && learned.text == "3 steps\n", "\(learned.errors)")
    // 1 − 0.5 · (1 + 0.5 + 0.125 · 8) is −0.25, and 0 − 0.5 · (2 + 0.125).
    #expect(try parameters("end") == [[-0.25, -1.0625], [1.5, -1.25]])
    let shown = try place.evenkeel("inspect", "end").text
    #expect(
      shown.contains("γ and β learned in 3 steps, from gradients of 4 examples\n"), "\(shown)")
  }

  @Test func `parts of a file make the steps of the whole`() throws {
    #expect(try learn().exitCode == 0)
    #expect(try learn("--last-line", "1", to: "1").text == "1 step\n")
    #expect(try learn("--first-line", "2", "--last-line", "3", to: "2", from: "1").exitCode == 0)
    #expect(try learn("--first-line", "4", to: "3", from: "2").exitCode == 0)
    #expect(try place.read("3") == place.read("end"))
    #expect(try parameters("1") == [[0.5, -1], [1.5, -0.25]])
  }

  @Test func `bad input gives one line and an exit code, and nothing is written`() throws {
    func expect(_ finished: Finished, _ code: Int32, _ message: String) {
      #expect(finished.exitCode == code && finished.errors == "evenkeel: \(message)\n")
      #expect((try? place.read("end")) == nil)
    }
    try place.write("g.ndjson", (lines[0] + "\nno json\n").utf8)
    expect(try learn(), 65, "g.ndjson: line 2: the body is not JSON")
    try place.write(
      "g.ndjson", (lines[2] + "\n" + #"{"version":1,"weight_grad":[1],"bias_grad":[1,1]}"#).utf8)
    expect(
      try learn(), 65, "g.ndjson: line 2: weight_grad: expected 2 numbers, one a feature, found 1")
    expect(
      try learn("--first-line", "3", "--last-line", "2"), 64,
      "expected lines from 1 on, the first not after the last, found 3 to 2; evenkeel learn --help lists the options"
    )
    #expect(
      try learn("--stream", "t").errors.contains("expected --stream with one of s, found 't'"))
    #expect(try learn(from: "none").exitCode == 66)
    #expect(try place.shell("rm g.ndjson; mkfifo g.ndjson").exitCode == 0)
    #expect(try learn().exitCode == 65)
    try place.write("e.yaml", configuration("file: p.safetensors").utf8)
    expect(try learn(), 78, "s: expected parameters.learn in its settings, found nothing")
    for (features, found) in [("[x, z]", "without 'z'"), ("[x]", "with 'y' too")] {
      let other = configuration().replacing(
        "format: csv", with: "format: csv\n    features: \(features)")
      try place.write("e.yaml", other.utf8)
      expect(
        try learn(), 78,
        "s: expected a checkpoint with the features of the stream, found one \(found)")
    }
    try place.write("e.yaml", configuration().replacing("size: 2", with: "size: 0").utf8)
    #expect(try learn().exitCode == 78)
  }
}
