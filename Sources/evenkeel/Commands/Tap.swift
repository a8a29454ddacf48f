internal import ArgumentParser
internal import ControlPlane
internal import Glibc
internal import Records
internal import Storage
internal import Stream

/// `evenkeel tap`: shows records of a running stream, as they were read and as they are written.
struct Tap: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tap",
    abstract:
      "Shows a live sample of the records of a running stream, before and after normalising.",
    discussion: """
      Records come from the stream as the operators leave them, before the sink takes them. A record in text is shown \
      as text, another one by the values of its first 100 features. Rejected records are shown with the reason. A slow \
      terminal never makes the stream wait: the stream drops samples, and tells how many. SIGINT and a closed pipe end \
      the command with exit code 0. A stream that ends or is replaced, and a daemon that stops, end it with 69.
      """)

  @Argument(help: "The name of the stream.")
  var stream: String

  @Option(help: "The daemon's control plane: http://HOST:PORT or unix:PATH.")
  var url = "http://127.0.0.1:9600"

  @Option(
    help: ArgumentHelp(
      "The file with the bearer token. A tap over TCP needs it.", valueName: "file"))
  var tokenFile: String?

  @Option(help: ArgumentHelp("Stop after so many records.", valueName: "number"))
  var limit: Int?

  @Option(help: ArgumentHelp("The most records in a second, 0.01 to 100.", valueName: "number"))
  var rate = TapOptions().rate

  @Option(help: "text, or json: one object a line (docs/HTTP.md).")
  var format = TapFormat.text

  func validate() throws {
    guard TapOptions.rates.contains(rate) else {
      throw ValidationError("--rate: expected 0.01 to 100, found \(rate)")
    }
    if let limit, !TapOptions.limits.contains(limit) {
      throw ValidationError("--limit: expected 1 to 1000000000, found \(limit)")
    }
  }

  func run() throws {
    // Each line is written at once, so nothing is lost here.
    let ends = [SIGINT, SIGTERM, SIGHUP]
    for number in ends { signal(number) { _ in _exit(0) } }
    unblock(ends)
    signal(SIGPIPE, SIG_IGN)
    do {
      try follow(ControlClient(url: url))
    } catch let error as ControlError {
      let isUsage = if case .address = error { true } else { false }
      throw CommandFailure("\(error)", exitCode: isUsage ? EX_USAGE : error.exitCode)
    } catch StreamError.inputOutput(let error) where error.errno == EPIPE {
      return
    }
  }

  private func follow(_ client: ControlClient) throws {
    var shown = 0
    let isEnded = try client.tap(
      stream, TapOptions(rate: rate, limit: limit), tokenFile: tokenFile, output: STDOUT_FILENO
    ) { bytes in
      guard let line = try? TapLine(json: bytes) else {
        throw ControlError.noAnswer("\(client.address)", reason: "a line that is no sample")
      }
      switch format {
      case .json: try writeToStandardOutput(printable(json: bytes) + [UInt8(ascii: "\n")])
      case .text: try writeToStandardOutput(tapText(line))
      }
      if line.kind != .lost { shown += 1 }
      return shown != limit
    }
    if isEnded {
      throw CommandFailure(
        "the daemon has ended the tap: stream \(quoted(stream)) has ended or was replaced, or the daemon stops",
        exitCode: EX_UNAVAILABLE)
    }
  }
}

/// The form of samples on stdout.
enum TapFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json
}

/// A sample as lines for a terminal.
func tapText(_ line: TapLine) -> String {
  let number = grouped(line.record ?? 0)
  var lines: [String]
  switch line.kind {
  case .lost:
    lines = [
      "\(grouped(line.samples ?? 0)) samples were dropped, since they were not taken in time"
    ]
  case .rejected:
    let place = (line.split.map { "\($0): " } ?? "") + "record \(number)"
    lines = ["rejected \(place): expected \(line.expected ?? ""), found \(line.found ?? "")"]
    if let text = line.inputText { lines.append("  in   \(text)") }
  case .record:
    lines = [
      "record \(number)", "  in   " + (line.inputText ?? values(line, line.input)),
      "  out  " + (line.outputText ?? values(line, line.output)),
    ]
  }
  return lines.map { printable($0) + "\n" }.joined()
}

/// The values of a record by the names of their features.
private func values(_ line: TapLine, _ numbers: [TapNumber]?) -> String {
  let named = zip(line.features ?? [], numbers ?? []).map { "\($0)=\($1)" }
  let rest = line.featuresLeftOff.map { [" … \(grouped($0)) more"] } ?? []
  return named.joined(separator: " ") + rest.joined()
}
