/// A name for a message: in quotes, on one line and not too long.
package func quoted(_ name: some StringProtocol) -> String {
  let limit = 64
  let start = name.unicodeScalars.prefix(limit).map { scalar in
    scalar.steersTerminals ? scalar.escaped(asASCII: true) : "\(scalar)"
  }
  return "'" + start.joined() + (name.unicodeScalars.count > limit ? "…'" : "'")
}

/// Several names for a message: the first ones, and how many others there are.
package func listed(_ names: [String], atMost limit: Int = 3) -> String {
  let first = names.prefix(limit).map { quoted($0) }.joined(separator: ", ")
  return names.count > limit ? "\(first) and \(names.count - limit) more" : first
}
