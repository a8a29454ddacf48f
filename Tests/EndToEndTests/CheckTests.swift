import TestSupport
import Testing

@Suite struct CheckTests {
  @Test func `a file that is fine is told so`() throws {
    let place = try Workplace()
    try place.write("in.csv", Array("a\n1\n".utf8))
    try place.write(
      "good.yaml",
      Array(
        """
        state_directory: state
        streams:
          a: { source: { file: { path: in.csv } }, format: csv, sink: { file: { path: out.csv } } }
        """.utf8))
    for arguments in [[], ["--connect"]] {
      let command = [binary, "check", "--config", "good.yaml"] + arguments
      let finished = try place.start(command, input: nil).wait()
      #expect(finished.exitCode == 0)
      #expect(finished.errors == "")
      #expect(String(decoding: finished.output, as: UTF8.self) == "good.yaml: fine, 1 stream\n")
    }
    #expect(place.files == ["good.yaml", "in.csv"])
  }

  @Test func `every error is a line with its place, and the code is that of a configuration`()
    throws
  {
    let place = try Workplace()
    try place.write(
      "bad.yaml", Array("state_directory: s\nstreams: {}\nstraems: 1\nlogg: 2\n".utf8))
    let finished = try place.evenkeel("check", "--config", "bad.yaml")
    #expect(finished.exitCode == 78)
    #expect(finished.output == [])
    #expect(
      finished.errors == """
        bad.yaml:3:1: straems: unknown key; did you mean 'streams'?
        bad.yaml:4:1: logg: unknown key; did you mean 'log'?

        """)
  }

  @Test func `an end that is missing is told by --connect alone`() throws {
    let place = try Workplace()
    try place.write(
      "f.yaml",
      Array(
        """
        state_directory: state
        streams:
          a: { source: { file: { path: none } }, format: csv, sink: { file: { path: out.csv } } }
        """.utf8))
    #expect(try place.evenkeel("check", "--config", "f.yaml").exitCode == 0)
    let finished = try place.evenkeel("check", "--config", "f.yaml", "--connect")
    #expect(finished.exitCode == 78)
    #expect(
      finished.errors
        == "f.yaml:3:32: streams.a.source.file.path: cannot open none: No such file or directory\n")
  }

  @Test func `control characters of keys and names reach no terminal`() throws {
    let place = try Workplace()
    try place.write(
      "bad.yaml",
      Array("state_directory: s\nstreams: {}\n\"\\e[31m\\nx: 1:1: fine\": 1\n".utf8))
    let checked = try place.evenkeel("check", "--config", "bad.yaml")
    #expect(checked.exitCode == 78)
    #expect(
      checked.errors.hasPrefix("bad.yaml:3:1: \\u{1B}[31m\\nx: 1:1: fine: unknown key"),
      "\(checked.errors)")
    try place.write("in.csv", Array("\u{1B}[31mred\n1\n2\n".utf8))
    let normalized = try place.evenkeel(
      "normalize", "in.csv", "-o", "out.csv", "--checkpoint-out", "s.safetensors")
    #expect(normalized.exitCode == 0)
    for options in [[], ["--json"]] {
      let shown = try place.start([binary, "inspect", "s.safetensors"] + options, input: nil).wait()
      #expect(shown.exitCode == 0)
      #expect(!shown.output.contains(0x1B))
      #expect(String(decoding: shown.output, as: UTF8.self).lowercased().contains("1b"))
    }
    let refused = try place.evenkeel(
      "normalize", "in.csv", "-o", "out.csv", "--features", "\u{1B}[32m\nx")
    #expect(refused.exitCode != 0)
    #expect(!refused.errors.utf8.contains(0x1B))
    #expect(refused.errors.split(separator: "\n").count == 1, "\(refused.errors)")
  }

  @Test func `a file that is not there is told as such`() throws {
    let finished = try Workplace().evenkeel("check", "--config", "none.yaml")
    #expect(finished.exitCode == 66)
    #expect(finished.errors == "evenkeel: cannot open none.yaml: No such file or directory\n")
  }
}
