internal import ArgumentParser
internal import ControlPlane
internal import Dispatch
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
      try writeToStandardOutput(topTable(streams).joined(separator: "\n") + "\n")
    } else {
      try watch(client)
    }
  }

  /// Redraws until SIGINT or SIGTERM. A resize redraws at once.
  private func watch(_ client: ControlClient) throws {
    let awake = DispatchSemaphore(value: 0)
    let isOver = DispatchSemaphore(value: 0)
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
    while isOver.wait(timeout: .now()) == .timedOut {
      let lines: [String]
      switch answer(from: client) {
      case .success(let streams): lines = topTable(streams)
      case .failure(let failure): lines = [failure.message, "", "Trying again…"]
      }
      try writeToStandardOutput(screen(lines, size: terminalSize()))
      _ = awake.wait(timeout: .now() + interval)
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

/// A line about the daemon, a table of streams, and the problems of each stream.
func topTable(_ answer: StreamsView) -> [String] {
  let streams = answer.streams
  let records = streams.reduce(0) { $0 + $1.rates.recordsPerSecond }
  let running = streams.count { $0.state == "running" }
  var lines = [
    "evenkeel \(onOneLine(answer.version))   \(running) of \(streams.count) streams running   "
      + "\(grouped(whole(records))) records/s",
    "",
  ]
  var rows = [
    [
      "STREAM", "STATE", "MODE", "RECORDS/S", "IN MB/S", "OUT MB/S", "IN FLIGHT", "BATCHES",
      "BAD", "RESTARTS",
    ]
  ]
  for stream in streams {
    rows.append([
      onOneLine(stream.name), onOneLine(stream.state),
      onOneLine(stream.mode) + (stream.frozen ? "*" : ""),
      grouped(whole(stream.rates.recordsPerSecond)),
      megabytes(stream.rates.bytesInPerSecond), megabytes(stream.rates.bytesOutPerSecond),
      grouped(stream.recordsInFlight), grouped(stream.batches), grouped(stream.badRecords),
      grouped(stream.restarts),
    ])
  }
  lines += aligned(rows).split(separator: "\n").map(String.init)
  let notes = streams.flatMap { stream in
    (stream.lastError.map { ["error: \($0)"] } ?? []).map { "\(stream.name): \($0)" }
      + stream.warnings.map { "\(stream.name): warning: \($0)" }
  }
  if !notes.isEmpty { lines += [""] + notes.map(onOneLine) }
  if streams.contains(where: \.frozen) {
    lines += ["", "* frozen: updates of the running moments are stopped"]
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
