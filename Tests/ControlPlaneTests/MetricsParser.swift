/// A strict reader of Prometheus' text format, as a judge of what we write.
enum MetricsParser {
  struct Malformed: Error {
    var line: String
  }

  struct Sample {
    var name: String
    var labels: [String: String]
    var value: Double
  }

  struct Family {
    var type: String
    var samples: [Sample] = []
  }

  /// HELP, TYPE and the samples of a family stand together, once; no series comes twice.
  static func parse(_ text: String) throws -> [String: Family] {
    guard text.hasSuffix("\n") else { throw Malformed(line: "no line end at the end") }
    var families: [String: Family] = [:]
    var (current, awaitingType) = ("", false)
    var series: Set<String> = []
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        .map(String.init)
      if line.hasPrefix("# HELP ") {
        guard words.count == 4, families[words[2]] == nil, !awaitingType, isName(words[2]) else {
          throw Malformed(line: String(line))
        }
        (current, awaitingType) = (words[2], true)
      } else if line.hasPrefix("# TYPE ") {
        guard words.count == 4, words[2] == current, awaitingType,
          ["counter", "gauge", "histogram"].contains(words[3]),
          (words[3] == "counter") == current.hasSuffix("_total")
        else { throw Malformed(line: String(line)) }
        families[current] = Family(type: words[3])
        awaitingType = false
      } else {
        guard let family = families[current], !awaitingType else {
          throw Malformed(line: String(line))
        }
        let sample = try parseSample(line)
        let suffixes = family.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        guard suffixes.contains(where: { current + $0 == sample.name }),
          series.insert(sample.name + "\(sample.labels.sorted { $0.key < $1.key })").inserted
        else { throw Malformed(line: String(line)) }
        families[current]?.samples.append(sample)
      }
    }
    return families
  }

  private static func isName(_ text: some StringProtocol) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy { byte in
        byte == UInt8(ascii: "_") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
          || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
      }
  }

  private static func parseSample(_ line: Substring) throws -> Sample {
    var rest = line
    let name = rest.prefix { $0 != "{" && $0 != " " }
    rest = rest.dropFirst(name.count)
    var labels: [String: String] = [:]
    if rest.first == "{" {
      repeat {
        rest.removeFirst()
        let key = rest.prefix { $0 != "=" }
        rest = rest.dropFirst(key.count)
        guard isName(key), rest.hasPrefix("=\""), labels[String(key)] == nil else {
          throw Malformed(line: String(line))
        }
        rest = rest.dropFirst(2)
        labels[String(key)] = try parseValue(&rest, in: line)
      } while rest.first == ","
      guard rest.first == "}" else { throw Malformed(line: String(line)) }
      rest.removeFirst()
    }
    let number = rest.dropFirst()
    let special: [Substring: Double] = ["+Inf": .infinity, "-Inf": -.infinity, "NaN": .nan]
    guard isName(name), rest.first == " ", let value = special[number] ?? Double(number) else {
      throw Malformed(line: String(line))
    }
    return Sample(name: String(name), labels: labels, value: value)
  }

  /// A label's value up to and with the closing quote.
  private static func parseValue(_ rest: inout Substring, in line: Substring) throws -> String {
    var value = ""
    while let character = rest.popFirst() {
      switch character {
      case "\"": return value
      case "\\":
        switch rest.popFirst() {
        case "n": value += "\n"
        case "\\": value += "\\"
        case "\"": value += "\""
        default: throw Malformed(line: String(line))
        }
      default: value.append(character)
      }
    }
    throw Malformed(line: String(line))
  }
}
