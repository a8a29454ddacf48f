internal import Records
internal import Stream

/// Writes text in Prometheus' format 0.0.4, family by family.
struct MetricsWriter {
  enum Kind: String {
    case counter, gauge, histogram
  }

  private(set) var text = ""

  /// Begins a family; its samples follow.
  mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
  }

  mutating func sample(
    _ name: String, _ labels: KeyValuePairs<String, String>, _ value: Double
  ) {
    text += name
    if !labels.isEmpty {
      let pairs = labels.map { "\($0.key)=\"\(Self.escaped($0.value, quotes: true))\"" }
      text += "{" + pairs.joined(separator: ",") + "}"
    }
    text += " \(Self.number(value))\n"
  }

  mutating func histogram(
    _ name: String, _ help: String, _ streams: [(stream: String, histogram: Histogram)]
  ) {
    family(name, .histogram, help)
    for (stream, histogram) in streams {
      var cumulative = 0
      for (bound, count) in zip(histogram.bounds + [.infinity], histogram.counts) {
        cumulative += count
        sample(
          name + "_bucket", ["stream": stream, "le": Self.number(bound)], Double(cumulative))
      }
      sample(name + "_sum", ["stream": stream], histogram.sum)
      sample(name + "_count", ["stream": stream], Double(cumulative))
    }
  }

  mutating func process(_ process: ProcessStatistics) {
    let values: [(String, Kind, String, Double?)] = [
      (
        "process_resident_memory_bytes", .gauge, "Resident memory size in bytes.",
        process.residentBytes.map(Double.init)
      ),
      (
        "evenkeel_heap_bytes", .gauge, "Bytes that are allocated and not freed.",
        Double(process.heapBytes)
      ),
      (
        "process_open_fds", .gauge, "Number of open file descriptors.",
        process.openDescriptors.map(Double.init)
      ),
      (
        "process_max_fds", .gauge, "Maximum number of open file descriptors.",
        process.mostDescriptors.map(Double.init)
      ),
      ("process_threads", .gauge, "Number of threads.", process.threads.map(Double.init)),
      (
        "process_start_time_seconds", .gauge,
        "Start time of the process since unix epoch in seconds.", process.startSeconds
      ),
      (
        "process_cpu_seconds_total", .counter,
        "Total user and system CPU time spent in seconds.", process.cpuSeconds
      ),
    ]
    for (name, kind, help, value) in values { single(name, kind, help, value) }
  }

  /// A number in the spelling of the format. Whole numbers have no fraction.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int(exactly: value).map { "\($0)" } ?? "\(value)"
  }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    var escaped = ""
    // The format has no escape for other control characters, and people may read it on a terminal.
    for scalar in printable(text, keepsLines: true).unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
