internal import ArgumentParser
internal import ControlPlane
internal import Dataflow
internal import Dispatch
internal import FoundationEssentials
internal import Glibc
internal import Records
internal import Stream
internal import Supervision

/// `evenkeel top`: shows a running daemon, live.
struct Top: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Shows the streams of a running daemon, live.",
    discussion: "If stdout is no terminal, it prints one table, as with --once.")

  @Option(help: "The daemon's control plane: http://HOST:PORT or unix:PATH.")
  var url = "http://127.0.0.1:9600"

  @Flag(help: "Print one table and stop.")
  var once = false

  @Option(help: ArgumentHelp("Seconds between two updates.", valueName: "seconds"))
  var interval = 1.0

  func validate() throws {
    guard interval >= 0.1, interval <= 3600 else {
      throw ValidationError("--interval: expected 0.1 to 3600 seconds")
    }
  }

  func run() throws {
    let client: ControlClient
    do {
      client = try ControlClient(url: url)
    } catch {
      throw CommandFailure("\(error)", exitCode: EX_USAGE)
    }
    if once || isatty(STDOUT_FILENO) == 0 {
      let streams = try answer(from: client).get()
      try writeToStandardOutput(text(topTable(streams, columns: terminalSize().columns)))
    } else if isPlainTerminal() {
      try watchPlainly(client)
    } else {
      try watch(client)
    }
  }

  /// Prints one table after another, for a terminal that cannot move its cursor.
  private func watchPlainly(_ client: ControlClient) throws {
    while true {
      let lines =
        switch answer(from: client) {
        case .success(let streams): topTable(streams, columns: terminalSize().columns)
        case .failure(let failure): [failure.message]
        }
      try writeToStandardOutput(text(lines) + "\n")
      usleep(UInt32(interval * 1e6))
    }
  }

  private func text(_ lines: [String]) -> String { lines.joined(separator: "\n") + "\n" }

  /// Redraws until SIGINT or SIGTERM. A resize redraws at once.
  private func watch(_ client: ControlClient) throws {
    let (awake, isOver) = (Wakeup(), Wakeup())
    let queue = DispatchQueue(label: "top")
    let sources = [SIGINT, SIGTERM, SIGHUP, SIGWINCH].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        if number != SIGWINCH { isOver.signal() }
        awake.signal()
      }
      source.activate()
      return source
    }
    defer { for source in sources { source.cancel() } }
    // The alternate screen keeps the shell's lines unchanged. The cursor is hidden, since it would only blink.
    try writeToStandardOutput("\u{1B}[?1049h\u{1B}[?25l")
    defer { try? writeToStandardOutput("\u{1B}[?25h\u{1B}[?1049l") }
    while !isOver.wait(seconds: 0) {
      let lines: [String]
      switch answer(from: client) {
      case .success(let streams): lines = topTable(streams, columns: terminalSize().columns)
      case .failure(let failure): lines = [failure.message, "", "Trying again…"]
      }
      try writeToStandardOutput(screen(lines, size: terminalSize()))
      awake.wait(seconds: interval)
    }
  }

  private func answer(from client: ControlClient) -> Result<StreamsView, CommandFailure> {
    do throws(ControlError) {
      return .success(try client.streams())
    } catch {
      return .failure(CommandFailure("\(error)", exitCode: EX_UNAVAILABLE))
    }
  }
}

/// ANSI sequences that draw the lines from the top left, cut to the size of the terminal.
func screen(_ lines: [String], size: (columns: Int, rows: Int)) -> String {
  var shown = lines.prefix(size.rows).map { String($0.prefix(size.columns)) }
  if lines.count > size.rows, size.rows > 0 {
    let hidden = "… \(lines.count - size.rows + 1) lines more"
    shown[size.rows - 1] = String(hidden.prefix(size.columns))
  }
  return "\u{1B}[H" + shown.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J"
}

private func terminalSize() -> (columns: Int, rows: Int) {
  var size = winsize()
  guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (80, 24) }
  return (Int(size.ws_col), Int(size.ws_row))
}

/// Whether the user or the terminal wants text without control sequences (no-color.org).
private func isPlainTerminal() -> Bool {
  let environment = ProcessInfo.processInfo.environment
  return environment["TERM"] == "dumb" || environment["NO_COLOR"]?.isEmpty == false
}

/// A line about the daemon, a table of streams, and the problems of each stream, in so many columns: the table
/// omits columns and cuts names if there is no room.
func topTable(_ answer: StreamsView, columns: Int) -> [String] {
  let streams = answer.streams
  let records = streams.reduce(0) { $0 + $1.rates.recordsPerSecond }
  let running = streams.count { $0.state == "running" }
  var lines = [
    "evenkeel \(onOneLine(answer.version))   \(running) of \(streams.count) streams running   "
      + "\(grouped(whole(records))) records/s",
    "",
  ]
  lines += streamTable(streams, columns: columns)
  let notes = streams.flatMap { stream -> [String] in
    var texts = stream.warnings.map { "warning: \($0)" }
    if let error = stream.lastError { texts.insert("error: \(error)", at: 0) }
    texts += stream.drift.map { chart in
      let partition = chart.partition.map { "partition \($0): " } ?? ""
      return "drift: \(partition)feature '\(chart.feature)': \(chart.text)"
    }
    return texts.map { "\(stream.name): \($0)" }
  }
  if !notes.isEmpty { lines += [""] + notes.flatMap { wrapped(onOneLine($0), columns: columns) } }
  if streams.contains(where: \.frozen) {
    lines += ["", "* frozen: updates of the running moments are stopped"]
  }
  return lines
}

/// The columns of the table. Those with the lowest rank are omitted first.
private let streamColumns: [(heading: String, rank: Int, text: @Sendable (StreamView) -> String)] =
  [
    ("STREAM", 9, { onOneLine($0.name) }),
    ("STATE", 9, { onOneLine($0.state) }),
    ("MODE", 3, { onOneLine($0.mode) + ($0.frozen ? "*" : "") }),
    ("RECORDS/S", 9, { grouped(whole($0.rates.recordsPerSecond)) }),
    ("IN MB/S", 2, { megabytes($0.rates.bytesInPerSecond) }),
    ("OUT MB/S", 1, { megabytes($0.rates.bytesOutPerSecond) }),
    ("IN FLIGHT", 0, { grouped($0.recordsInFlight) }),
    ("BATCHES", 4, { grouped($0.batches) }),
    ("BAD", 9, { grouped($0.badRecords) }),
    ("RESTARTS", 9, { grouped($0.restarts) }),
  ]

private func streamTable(_ streams: [StreamView], columns: Int) -> [String] {
  let shortestName = 12
  var shown = streamColumns
  while true {
    var rows = [shown.map(\.heading)] + streams.map { stream in shown.map { $0.text(stream) } }
    let table = aligned(rows).split(separator: "\n").map(String.init)
    let excess = (table.map(\.count).max() ?? 0) - columns
    guard excess > 0 else { return table }
    let longest = rows.map { $0[0].count }.max() ?? 0
    let least = shown.map(\.rank).min() ?? 9
    if longest - excess >= shortestName || least == 9 {
      let limit = max(shortestName, longest - excess)
      for row in rows.indices where rows[row][0].count > limit {
        rows[row][0] = rows[row][0].prefix(limit - 1) + "…"
      }
      return aligned(rows).split(separator: "\n").map(String.init)
    }
    shown.removeAll { $0.rank == least }
  }
}

/// A text in lines of so many columns, broken between words.
private func wrapped(_ text: String, columns: Int) -> [String] {
  var lines = [""]
  for word in text.split(separator: " ") {
    let last = lines[lines.count - 1]
    if last.isEmpty {
      lines[lines.count - 1] = String(word)
    } else if last.count + 1 + word.count <= columns {
      lines[lines.count - 1] += " " + word
    } else {
      lines.append("  " + word)
    }
  }
  return lines
}

/// Text from a daemon as it may stand on a terminal: control characters would steer it.
private func onOneLine(_ text: String) -> String { printable(text) }

/// A rounded number. A number from the network may not fit into Int.
private func whole(_ value: Double) -> Int {
  Int(exactly: value.rounded()) ?? (value > 0 ? .max : 0)
}

/// Millions of bytes with two decimals.
private func megabytes(_ bytes: Double) -> String {
  let hundredths = whole(bytes / 1e4)
  let rest = hundredths % 100
  return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
