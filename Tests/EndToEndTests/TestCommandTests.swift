import TestSupport
import Testing

@Suite struct TestCommandTests {
  private let place: Workplace

  init() throws {
    place = try Workplace()
    try place.write(
      "c.yaml",
      Array(
        """
        state_directory: state
        streams:
          a:
            source: { tcp: { address: "127.0.0.1:1" } }
            format: csv
            sink: { file: { path: out.csv } }
            normalize: { mode: batch }
        tests:
          centred: { stream: a, input: "x\\n1\\n3\\n", output: "x\\n-1\\n1\\n", tolerance: 1e-4 }
        """.utf8))
  }

  @Test func `tests pass, and nothing is read, written or kept`() throws {
    let finished = try place.evenkeel("test", "--config", "c.yaml")
    #expect(String(decoding: finished.output, as: UTF8.self) == "ok centred\n1 passed, 0 failed\n")
    #expect(finished.errors == "")
    #expect(finished.exitCode == 0)
    #expect(place.files == ["c.yaml"])
  }

  @Test func `a failed test is told in one line and makes the exit code 65`() throws {
    try place.write(
      "t.yaml",
      Array(#"tests: { "o\e[2J": { stream: a, input: "x\n1\n3\n", output: "x\n-1\n2\n" } }"#.utf8))
    let finished = try place.evenkeel("test", "--config", "c.yaml", "--tests", "t.yaml")
    #expect(
      String(decoding: finished.output, as: UTF8.self) == #"""
        ok centred
        FAILED o\u{1B}[2J: output: record 1, column 1 'x': expected '-1', found '-0.999995'
        1 passed, 1 failed

        """#)
    #expect(finished.errors == "")
    #expect(finished.exitCode == 65)
  }

  @Test func `a stream goes on from the checkpoint of a test`() throws {
    try place.write("base.csv", Array("x\n0\n2\n0\n2\n".utf8))
    #expect(try place.evenkeel("fit", "base.csv", "-o", "base.safetensors").exitCode == 0)
    func run(_ settings: String) throws -> Finished {
      // Frozen moments: μ = 1 and σ = 1 come from the checkpoint alone.
      try place.write(
        "f.yaml",
        Array(
          """
          state_directory: state
          streams:
            a:
              source: { tcp: { address: "127.0.0.1:1" } }
              format: csv
              sink: { file: { path: out.csv } }
              normalize: { mode: running, frozen: true }
          tests:
            serves: { stream: a, \(settings)input: "x\\n1\\n3\\n", output: "x\\n0\\n2\\n", tolerance: 1e-4 }
          """.utf8))
      return try place.evenkeel("test", "--config", "f.yaml")
    }
    let passed = try run("checkpoint: base.safetensors, ")
    #expect(String(decoding: passed.output, as: UTF8.self) == "ok serves\n1 passed, 0 failed\n")
    #expect(passed.exitCode == 0)
    #expect(try run("").exitCode == 65)
    let file = try place.read("base.safetensors")
    try place.write("damaged.safetensors", Array(file.prefix(100)))
    let damaged = try run("checkpoint: damaged.safetensors, ")
    #expect(damaged.exitCode == 65)
    #expect(
      String(decoding: damaged.output, as: UTF8.self)
        .hasPrefix("FAILED serves: expected no failure, found damaged.safetensors: header: "))
    // The checkpoint is read, and never written.
    #expect(try place.read("base.safetensors") == file)
    #expect(!place.files.contains("state"))
  }

  @Test func `a wrong file and a file without tests have the code of a configuration`() throws {
    #expect(try place.evenkeel("check", "--config", "c.yaml").exitCode == 0)
    try place.write("wrong.yaml", Array("state_directory: s\nstreams: {}\ntests: { a: {} }\n".utf8))
    for command in ["check", "test"] {
      let finished = try place.evenkeel(command, "--config", "wrong.yaml")
      #expect(finished.exitCode == 78)
      #expect(
        finished.errors.contains("wrong.yaml:3:10: tests.a.stream: expected text, found nothing"))
    }
    try place.write("none.yaml", Array("state_directory: s\nstreams: {}\n".utf8))
    let finished = try place.evenkeel("test", "--config", "none.yaml")
    #expect(finished.exitCode == 78)
    #expect(
      finished.errors == "evenkeel: none.yaml: expected tests in the section tests, found none\n")
  }
}
