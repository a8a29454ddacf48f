import Glibc
import TestSupport
import Testing

/// Wrong arguments, and outputs that cannot be or must not be written.
@Suite struct UsageTests {
  private func expect(
    _ finished: Finished, _ exitCode: Int32, _ line: String,
    at location: SourceLocation = #_sourceLocation
  ) {
    #expect(finished.exitCode == exitCode, "\(finished.errors)", sourceLocation: location)
    #expect(finished.errors == "evenkeel: \(line)\n", sourceLocation: location)
  }

  @Test func `wrong arguments of every command are told in one line`() throws {
    let place = try Workplace()
    expect(
      try place.evenkeel("normalise", "a.csv"), 64,
      "expected a command (normalize, fit, merge, learn, run, reload, check, test, inspect, drift, export, import, "
        + "top, tap, generate), found 'normalise'; did you mean 'normalize'?")
    expect(
      try place.evenkeel("run"), 64,
      "expected '--config <file>', found nothing; evenkeel run --help lists the options")
    expect(
      try place.evenkeel("run", "--config"), 64,
      "expected a value for '--config <file>', found nothing; evenkeel run --help lists the options"
    )
    expect(
      try place.evenkeel("inspect", "a", "b"), 64,
      "unexpected argument 'b'; evenkeel inspect --help lists the options")
    #expect(try place.evenkeel("help", "run").exitCode == 0)
    #expect(try place.evenkeel("--version").exitCode == 0)
  }

  @Test func `options without effect on the run are refused`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a\n1\n2\n".utf8))
    for (options, line) in [
      (["--checkpoint-every", "3"], "--checkpoint-every: expected --resume beside it, found none"),
      (
        ["--on-mismatch", "reset"],
        "--on-mismatch: expected a checkpoint, by --checkpoint-in, --resume or --prior, found none"
      ),
    ] {
      let command = [binary, "normalize", "a.csv", "-o", "b.csv"] + options
      expect(try place.start(command, input: nil).wait(), 64, line)
    }
    expect(
      try place.evenkeel("fit", "a.csv", "-o", "s", "--on-mismatch", "reset"), 64,
      "--on-mismatch: expected a checkpoint, by --checkpoint-in, --resume or --prior, found none"
    )
    #expect(place.files == ["a.csv"])
  }

  @Test func `an option that is given twice is refused by every command`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a,b\n1,2\n2,3\n".utf8))
    let help = "; evenkeel normalize --help lists the options"
    for (options, option) in [
      (["--features", "a", "--features=b"], "--features"),
      (["-o", "x", "--output", "y"], "--output"),
      (["--batch-size", "3", "--batch-size", "3"], "--batch-size"), (["--npy", "--npy"], "--npy"),
    ] {
      let command = [binary, "normalize", "a.csv"] + options
      expect(
        try place.start(command, input: nil).wait(), 64,
        "\(option): expected it once, found it twice\(help)")
    }
    for (arguments, option) in [
      (["import", "a.json", "--from", "json", "-o", "a", "--output", "b"], "--output"),
      (["run", "--config", "a", "--config=b"], "--config"),
      (["inspect", "a", "--json", "--json"], "--json"),
    ] {
      expect(
        try place.start([binary] + arguments, input: nil).wait(), 64,
        "\(option): expected it once, found it twice")
    }
    #expect(place.files == ["a.csv"])
  }

  @Test func `a batch of one value in mode batch is refused`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a\n1\n2\n".utf8))
    expect(
      try place.evenkeel("normalize", "a.csv", "--mode", "batch", "--batch-size", "1"), 64,
      "--batch-size: expected at least 2 in mode batch, since a single value is its own mean, "
        + "found 1, with which every y would be β")
  }

  @Test func `moments above the limit are refused when they are imported`() throws {
    let place = try Workplace()
    try place.write("m.json", Array(#"{"mean":[1e200],"variance":[1],"count":10}"#.utf8))
    expect(
      try place.evenkeel("import", "m.json", "--from", "json", "-o", "s"), 65,
      "m.json: running_mean[0]: expected a number of at most 1e+100 in size, found 1e+200")
    try place.write("v.json", Array(#"{"mean":[1],"variance":[1e201],"count":10}"#.utf8))
    expect(
      try place.evenkeel("import", "v.json", "--from", "json", "-o", "s"), 65,
      "v.json: running_var[0]: expected a variance of at most 4e+200, found 1e+201")
    #expect(place.files == ["m.json", "v.json"])
  }

  @Test func `an output that cannot be made has the exit code of one`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a\n1\n2\n".utf8))
    #expect(try place.evenkeel("fit", "a.csv", "-o", "s").exitCode == 0)
    #expect(try place.evenkeel("export", "s", "--to", "json", "-o", "s.json").exitCode == 0)
    let line = "cannot create none/x: No such file or directory"
    expect(try place.evenkeel("export", "s", "--to", "json", "-o", "none/x"), 73, line)
    expect(try place.evenkeel("import", "s.json", "--from", "json", "-o", "none/x"), 73, line)
    expect(try place.evenkeel("merge", "s", "s", "-o", "none/x"), 73, line)
  }

  @Test func `no command writes over its input`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a\n1\n2\n".utf8))
    #expect(try place.evenkeel("fit", "a.csv", "-o", "s").exitCode == 0)
    #expect(try place.evenkeel("export", "s", "--to", "json", "-o", "s.json").exitCode == 0)
    #expect(symlink("s", place.path("link")) == 0)
    let kept = try (place.read("a.csv"), place.read("s"), place.read("s.json"))
    for (arguments, output) in [
      (["export", "s", "--to", "json"], "s"), (["export", "s", "--to", "json"], "link"),
      (["import", "s.json", "--from", "json"], "./s.json"), (["merge", "s", "s"], "s"),
      (["fit", "a.csv"], "a.csv"), (["normalize", "a.csv"], "a.csv"),
    ] {
      let finished = try place.start([binary] + arguments + ["-o", output], input: nil).wait()
      expect(
        finished, 64, "--output: expected a file of its own, found that of the input: '\(output)'")
    }
    #expect(try place.read("a.csv") == kept.0)
    #expect(try place.read("s") == kept.1)
    #expect(try place.read("s.json") == kept.2)
  }

  @Test func `a file of another kind is no safetensors file`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a,b,c,d\n1,2,3,4\n".utf8))
    expect(
      try place.evenkeel("import", "a.csv", "--from", "pytorch", "-o", "s"), 65,
      "a.csv: file: expected a safetensors file, found a file of another kind")
    try place.write("a.json", Array(#"{"features": ["a"]}"#.utf8))
    expect(
      try place.evenkeel("import", "a.json", "--from", "pytorch", "-o", "s"), 65,
      "a.json: file: expected a safetensors file, found JSON (import --from json reads it)")
  }

  @Test func `a feature whose name contains a comma is named in quotes`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("\"a, b\",c\n1,x\n3,y\n".utf8))
    let finished = try place.evenkeel(
      "normalize", "a.csv", "--no-compress", "--features", "\"a, b\"")
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(finished.text.hasPrefix("\"a, b\",c\n0,x\n0.99"), "\(finished.text)")
  }

  @Test func `a compressed file that is not read is named by its content`() throws {
    let place = try Workplace()
    try place.write("a.csv.xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0, 4, 0, 0])
    let finished = try place.evenkeel("normalize", "a.csv.xz", "-o", "b.csv")
    #expect(finished.exitCode == 65)
    #expect(
      finished.errors.hasPrefix(
        "evenkeel: a.csv.xz: expected csv, found an xz file; decompress it"),
      "\(finished.errors)")
  }

  @Test func `check finds the faults of the control plane with which no daemon starts`() throws {
    let place = try Workplace()
    func check(_ control: String) throws -> Finished {
      try place.write(
        "c.yaml", Array("state_directory: state\ncontrol: { \(control) }\nstreams: {}\n".utf8))
      let checked = try place.evenkeel("check", "--config", "c.yaml")
      let started = try place.evenkeel("run", "--config", "c.yaml")
      #expect(checked.exitCode == 78 && started.exitCode == 78, "\(started.errors)")
      return checked
    }
    #expect(
      try check("listen: 0.0.0.0:9600").errors.hasPrefix(
        "c.yaml:2:20: control.listen: expected a loopback address"))
    #expect(
      try check("listen: unix:s, token_file: none").errors.hasPrefix(
        "c.yaml:2:20: control.listen: expected an absolute path after 'unix:', found a relative one"
      ))
    let listen = "listen: unix:\(place.path("s"))"
    #expect(
      try check("\(listen), token_file: none").errors.contains(
        "control.token_file: token file: cannot open none: No such file or directory"))
    try place.write("token", Array("secret\n".utf8))
    #expect(try place.shell("chmod 644 token").exitCode == 0)
    #expect(
      try check("\(listen), token_file: token").errors.contains(
        "control.token_file: token file token: expected a file that other users cannot read"))
    try place.write("token", Array("two words\n".utf8))
    #expect(try place.shell("chmod 600 token").exitCode == 0)
    #expect(
      try check("\(listen), token_file: token").errors.contains(
        "control.token_file: token file token: expected one word of 1 to 4096"))
  }
}

extension Finished {
  /// The output as text, without line ends at its end.
  fileprivate var text: String {
    var text = Substring(String(decoding: output, as: UTF8.self))
    while text.hasSuffix("\n") { text.removeLast() }
    return String(text)
  }
}
