/// The records of producers that name themselves in the first field: `p0-17,1.5,2.25`.
enum Records {
  static let header = "id,a,b\n"

  static func record(_ producer: Int, _ index: Int) -> String {
    "p\(producer)-\(index),\(Double(index % 17) + 0.5),\(Double(producer * 100 + index % 5))\n"
  }

  static func text(_ producer: Int, _ indices: Range<Int>) -> String {
    indices.map { record(producer, $0) }.joined()
  }

  /// The numbers of the records of each producer, in the order of the lines.
  static func indices(_ lines: some Sequence<some StringProtocol>) -> [Int: [Int]] {
    var indices: [Int: [Int]] = [:]
    for line in lines where line.hasPrefix("p") {
      let parts = line.prefix { $0 != "," }.dropFirst().split(separator: "-")
      if parts.count == 2, let producer = Int(parts[0]), let index = Int(parts[1]) {
        indices[producer, default: []].append(index)
      }
    }
    return indices
  }
}
