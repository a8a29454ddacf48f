import Testing

@testable import Configuration

/// A group of settings of every type, with a preset and rules.
private enum Made {
  static let name = Setting<String>(required: "name", .text, help: "What it is called.")
  static let size = Setting(
    "batch.size", .integer(in: 1...100), default: 8, option: .value("batch-size", "n"),
    help: "Records in a mini-batch.")
  static let clip = Setting(
    "clip", .positive, option: .value("clip", "l", short: "c"), help: "The limit of `x`.")
  static let colour = Setting<Colour>(
    "colour", .choice, default: .red, option: .value("colour", "name"), help: "The colour.")
  static let header = Setting(
    "header", .bool, default: true, option: .flag("no-header", means: "false", help: "No header."),
    help: "Whether there is a header.")
  static let window = Setting(
    "window", .size(in: 1...1 << 20), default: 1024, option: .value("window", "bytes"),
    optionType: .size(in: 1...1 << 20, plain: true), help: "The window.")
  static let wait = Setting("wait", .seconds(in: 0...60), default: 1, help: "The pause.")
  static let tokens = Setting(
    "tokens", .texts, default: ["NA"], option: .value("tokens", "list"), help: "Spellings.")
  static let isPacked = Setting(
    "pack", .word(of: ["off"]), option: .flag("no-pack", means: "off"), help: "Whether to pack.")
  static let level = Setting("pack.level", .integer(in: 1...9), default: 1, help: "How much.")
  static let preset = Setting<Preset?>(
    "preset", .choice, option: .value("preset", "name"), help: "Others' settings.")

  enum Preset: String, CaseIterable {
    case small
  }

  static let group = SettingGroup(
    "Made", [name, size, clip, colour, header, window, wait, tokens, isPacked, level, preset],
    presets: [
      SettingPreset(preset, is: .small, sets: [.set(size, to: 2), .set(clip, to: 5)])
    ],
    rules: [
      .only([window], when: colour, is: .red),
      .never([clip], beside: colour, is: .green),
    ])
}

/// The values that a file gives, and what is wrong in it.
private func read(
  _ text: String, _ variables: [String: String] = [:]
) throws -> (values: SettingValues?, errors: [String]) {
  let document = try document(text, variables)
  let values = document.root.values(of: Made.group)
  do {
    try document.check()
    return (values, [])
  } catch {
    return (values, error.errors.map { String($0.description.dropFirst("f.yaml:".count)) })
  }
}

/// The values that a command line gives, without those that must be given.
private func read(_ arguments: [String]) throws -> SettingValues {
  let given = try CommandLineSettings(arguments, of: [Made.group], others: nil)
  let values = try given.read([Made.group], requiring: false)
  try given.check([Made.group], values)
  return values
}

@Suite struct SettingTests {
  @Test(arguments: [
    ("a,b", ["a", "b"]), ("", []), ("a,,b,", ["a", "b"]), ("\"a, b\",c", ["a, b", "c"]),
    ("\"a\"\"b\"", ["a\"b"]), ("\"\"", [""]), ("\"a", ["\"a"]), ("\"a\"b,c", ["\"a\"b", "c"]),
    ("a\"b,c\"", ["a\"b", "c\""]), (" a, b", [" a", " b"]),
  ])
  func `commas separate the elements of an argument, unless quotes hold them`(
    text: String, elements: [String]
  ) {
    #expect(listElements(text) == elements)
  }

  @Test func `a file and a command line give the same values`() throws {
    let file = try #require(
      try read(
        """
        name: n
        batch: { size: 9 }
        clip: 2.5
        colour: infra_red
        header: false
        tokens: [a, b]
        """
      ).values)
    let line = try read([
      "--batch-size", "9", "--clip=2.5", "--colour", "infra_red", "--no-header", "--tokens", "a,b",
    ])
    for values in [file, line] {
      #expect(values[Made.size] == 9)
      #expect(values[Made.clip] == 2.5)
      #expect(values[Made.colour] == .infraRed)
      #expect(!values[Made.header])
      #expect(values[Made.tokens] == ["a", "b"])
      #expect(values[Made.window] == 1024)
      #expect(values.isGiven(Made.size))
      #expect(!values.isGiven(Made.window))
    }
    #expect(file[Made.name] == "n")
    #expect(try read(["--window", "4096"])[Made.window] == 4096)
    #expect(try read(["--window", "4KiB", "-c", "3"])[Made.window] == 4096)
  }

  @Test(arguments: [
    ("{}", ["1:1: name: expected text, found nothing"]),
    (
      "name: n\nbatch: { size: 0 }",
      ["2:16: batch.size: expected a whole number from 1 to 100, found '0'"]
    ),
    ("name: n\nbatch: 3", ["2:8: batch: expected a mapping, found '3'"]),
    (
      "name: n\nbatch: { size: '3' }",
      [
        "2:16: batch.size: expected a whole number from 1 to 100, found the text '3'; "
          + "leave out the quotes"
      ]
    ),
    ("name: n\nbatch: { sise: 3 }", ["2:10: batch.sise: unknown key; did you mean 'size'?"]),
    (
      "name: n\ncolour: gren",
      ["2:9: colour: expected one of red, green, infra_red, found 'gren'; did you mean 'green'?"]
    ),
    (
      "name: n\nwindow: 3\nwait: 3",
      [
        "2:9: window: expected a size such as 64MiB, from 1B to 1MiB, found '3'; "
          + "add a unit: B, KiB, MiB or GiB",
        "3:7: wait: expected a duration such as 10s, from 0ms to 1m, found '3'; "
          + "add a unit: ms, s, m, h or d",
      ]
    ),
    (
      "name: n\ntokens: [a, {b: c}]",
      ["2:1: tokens: expected a list of texts, found a mapping in the list"]
    ),
    (
      "name: n\nwindow: 1KiB\ncolour: green",
      ["2:9: window: expected colour: red, found green"]
    ),
    (
      "name: n\nclip: 1\ncolour: green",
      ["2:7: clip: expected no clip beside colour: green, found both"]
    ),
    ("name: n\npack: on", ["2:7: pack: expected one of off, found 'on'"]),
    ("name: n\nclip:", ["2:1: clip: expected a finite number above 0, found nothing"]),
  ])
  func `a wrong file is told by its places`(text: String, says: [String]) throws {
    let (values, errors) = try read(text)
    #expect(errors == says)
    #expect((values == nil) != errors.contains { $0.contains("unknown key") })
  }

  @Test func `a key may hold a word or a section`() throws {
    #expect(try read("name: n\npack: off").values?[Made.isPacked] == "off")
    let packed = try #require(try read("name: n\npack: { level: 3 }").values)
    #expect(packed[Made.isPacked] == nil)
    #expect(packed[Made.level] == 3)
    #expect(packed.isGiven(section: "pack"))
    #expect(try read("name: n\npack:").values?[Made.level] == 1)
    #expect(try read(["--no-pack"])[Made.isPacked] == "off")
  }

  @Test func `an error does not show the value of a variable`() throws {
    #expect(
      try read("name: n\nbatch: { size: '${S}' }\ncolour: ${C}", ["S": "secret", "C": "gren"])
        .errors
        == [
          "2:16: batch.size: expected a whole number from 1 to 100, found '${S}'",
          "3:9: colour: expected one of red, green, infra_red, found '${C}'",
        ])
  }

  @Test(arguments: [
    (["--batch-size", "0"], "--batch-size: expected a whole number from 1 to 100, found '0'"),
    (["--batch-size"], "--batch-size: expected a value, found nothing"),
    (["--batch-size", "--no-header"], "--batch-size: expected a value, found nothing"),
    (["--no-header=yes"], "--no-header: expected no value, found 'yes'"),
    (
      ["--colour", "gren"],
      "--colour: expected one of red, green, infra_red, found 'gren'; did you mean 'green'?"
    ),
    (["--colour=green", "--window", "9"], "--window: expected --colour red, found green"),
    (
      ["--colour=green", "--clip=1"], "--clip: expected no --clip beside --colour green, found both"
    ),
  ])
  func `a wrong command line is told by its options`(arguments: [String], says: String) {
    let error = #expect(throws: CommandLineError.self) { try read(arguments) }
    #expect(error.map { "\($0)" } == says)
  }

  @Test func `other arguments are left, and refused if the command does not know them`() throws {
    let arguments = ["in", "--clip", "-1.5", "--other", "x", "-", "--", "--clip"]
    let left = try CommandLineSettings(arguments, of: [Made.group], others: nil).rest
    #expect(left == ["in", "--other", "x", "-", "--", "--clip"])
    #expect(
      try CommandLineSettings(arguments, of: [Made.group], others: ["--other"]).rest == left)
    let error = #expect(throws: CommandLineError.self) {
      try CommandLineSettings(["--batchsize", "3"], of: [Made.group], others: ["--other"])
    }
    #expect(
      error.map { "\($0)" } == "--batchsize: unknown option; did you mean '--batch-size'?")
  }

  @Test(arguments: ["~/in.csv", "~", "$HOME/in.csv", "$_x"])
  func `a path that a shell would change is refused in a file`(text: String) throws {
    let path = Setting("path", .path, option: .value("path", "p"), optionType: .shellPath, help: "")
    let group = SettingGroup("", [path])
    let document = try document("path: '\(text)'")
    #expect(document.root.values(of: group).map { _ in true } == nil)
    let failure = #expect(throws: ConfigurationFailure.self) { try document.check() }
    #expect(
      failure?.description
        == "f.yaml:1:7: path: expected a path without ~ and $NAME, found '\(text)'; "
        + "write the complete path; ${HOME} is the home directory")
    let given = try CommandLineSettings(["--path", text], of: [group], others: [])
    #expect(try given.read([group])[path] == text)
  }

  @Test func `a path of a variable, or with a dollar in it, is taken`() throws {
    let document = try document("a: ${HOME}/x\nb: /data/$x\nc: $1", ["HOME": "/h"])
    #expect(document.root.value("a", .path) == "/h/x")
    #expect(document.root.value("b", .path) == "/data/$x")
    #expect(document.root.value("c", .path) == "$1")
    try document.check()
  }

  @Test func `a preset sets what the user does not`() throws {
    let values = try read(["--preset", "small", "--clip", "7"])
    #expect(values[Made.size] == 2)
    #expect(values[Made.clip] == 7)
    #expect(!values.isGiven(Made.size))
    #expect(Made.group.presets[0].texts.map(\.text) == ["2", "5"])
  }

  @Test func `help names every option in 80 columns`() {
    let help = SettingHelp.sections([Made.group], columns: 80)
    #expect(
      help.hasPrefix(
        """
        MADE:
          --batch-size <n>        Records in a mini-batch. (1 to 100; default: 8)
          -c, --clip <l>          The limit of x. (above 0)

        """))
    #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 })
    for setting in Made.group.settings {
      guard let option = setting.option else { continue }
      #expect(help.contains(option.spelling))
    }
  }
}
