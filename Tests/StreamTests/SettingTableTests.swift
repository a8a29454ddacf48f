import Codecs
import Configuration
import Connectors
import Foundation
import Operators
import Testing

@testable import Stream

/// The tables of settings in docs/ stand between `<!-- settings: NAME -->` and `<!-- end -->`.
///
/// `EVENKEEL_WRITE_TABLES=1 swift test --filter SettingTableTests` writes them.
@Suite struct SettingTableTests {
  private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("docs/CONFIGURATION.md")

  /// The tables by the names that the page calls them.
  private static let tables: [String: String] = {
    let catalogue = Catalogue.builtIn
    var tables = [
      "daemon": SettingTable.ofKeys([DaemonSettings.group]),
      "tests": SettingTable.ofKeys([StreamTestSettings.group]),
      "format": SettingTable.ofKinds(catalogue.formats.map { ($0.name, $0.settings) }),
      "source": SettingTable.ofKinds(
        catalogue.sources.map { ($0.name, $0.settings) }
          + [(SourceKind.sequenceName, SourceKind.sequenceSettings)]),
      "sink": SettingTable.ofKinds(catalogue.sinks.map { ($0.name, $0.settings) }),
      "presets": SettingTable.ofPresets([BatchSettings.group, NormalizeSettings.group]),
    ]
    for group in catalogue.streamSettings {
      tables[group.title.lowercased()] = SettingTable.ofKeys([group])
    }
    return tables
  }()

  /// The page with every table as the descriptions have it, and the names of the tables in it.
  private static func rewritten(_ text: String) -> (text: String, names: [String]) {
    var result: [Substring] = []
    var names: [String] = []
    var isInTable = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("<!-- settings: "), line.hasSuffix(" -->") {
        let name = String(line.dropFirst("<!-- settings: ".count).dropLast(" -->".count))
        names.append(name)
        result.append(line)
        result += (tables[name] ?? "").split(separator: "\n")
        isInTable = true
      } else if line == "<!-- end -->" {
        isInTable = false
        result.append(line)
      } else if !isInTable {
        result.append(line)
      }
    }
    return (result.joined(separator: "\n"), names)
  }

  @Test func `every table of the documents says what the descriptions say`() throws {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    let (expected, names) = Self.rewritten(text)
    #expect(names.sorted() == Self.tables.keys.sorted())
    if ProcessInfo.processInfo.environment["EVENKEEL_WRITE_TABLES"] != nil {
      try expected.write(to: Self.page, atomically: true, encoding: .utf8)
    } else {
      #expect(text == expected)
    }
  }
}
