/// A name as it may stand in a message: in quotes, on one line and not too long.
package func quoted(_ name: some StringProtocol) -> String {
  let limit = 64
  let start = name.unicodeScalars.prefix(limit).map { scalar in
    scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : "\(scalar)"
  }
  return "'" + start.joined() + (name.unicodeScalars.count > limit ? "…'" : "'")
}
