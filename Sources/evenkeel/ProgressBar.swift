internal import Dispatch
internal import Glibc
internal import Stream

/// Shows the progress of a stream in a line on the terminal. Shows nothing if stderr is no terminal.
final class ProgressBar {
  private let timer: any DispatchSourceTimer
  private let queue = DispatchQueue(label: "progress")

  init?(_ stream: StreamRun) {
    guard isatty(STDERR_FILENO) != 0 else { return nil }
    timer = DispatchSource.makeTimerSource(queue: queue)
    let start = DispatchTime.now()
    timer.setEventHandler {
      let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
      let line = progressLine(
        bytes: stream.metrics.bytesIn, passedOver: stream.metrics.bytesPassedOver,
        of: stream.inputByteCount, records: stream.metrics.records, seconds: seconds)
      writeToStandardError("\r\u{1B}[K" + line)
    }
    timer.schedule(deadline: .now() + 0.2, repeating: 0.1)
    timer.activate()
  }

  /// Removes the line from the terminal.
  func clear() {
    timer.cancel()
    queue.sync { writeToStandardError("\r\u{1B}[K") }
  }
}

/// The bytes and the records per second. If the end is known, also a bar and the time to the end.
///
/// - Parameter passedOver: the bytes that were skipped because an earlier run had read them. They took no time.
func progressLine(
  bytes: Int, passedOver: Int, of total: Int?, records: Int, seconds: Double
) -> String {
  let rate = seconds > 0 ? Double(records) / seconds : 0
  let place = passedOver + bytes
  let counts = "\(byteText(place))  \(grouped(records)) records  \(grouped(Int(rate)))/s"
  guard let total, total > 0 else { return counts }
  let share = min(1, Double(place) / Double(total))
  let filled = Int(share * 24)
  let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
  let bytesLeft = Double(max(0, total - place))
  let left = bytes > 0 ? Int((seconds * bytesLeft / Double(bytes)).rounded()) : 0
  let (minutes, rest) = left.quotientAndRemainder(dividingBy: 60)
  let eta = "\(minutes):\(rest < 10 ? "0" : "")\(rest)"
  return "\(bar) \(Int(share * 100)) %  \(byteText(place)) of \(byteText(total))  "
    + "\(grouped(records)) records  \(grouped(Int(rate)))/s  ETA \(eta)"
}

/// A size with about three digits, in powers of 1024.
func byteText(_ bytes: Int) -> String {
  var size = Double(bytes)
  var unit = 0
  let units = ["B", "KiB", "MiB", "GiB", "TiB"]
  while size >= 1024, unit < units.count - 1 {
    size /= 1024
    unit += 1
  }
  let tenths = Int((size * 10).rounded())
  return unit == 0 ? "\(bytes) B" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
}
