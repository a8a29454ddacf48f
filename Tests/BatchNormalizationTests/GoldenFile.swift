import Foundation
import Testing

/// Reads `Golden/<name>.json`, made by Tests/Oracles/make_golden.py.
func golden<Content: Decodable>(_ name: String, as type: Content.Type) throws -> Content {
  let url = try #require(
    Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Golden"))
  return try JSONDecoder().decode(type, from: Data(contentsOf: url))
}

/// Columns of a batch; null is a missing value.
typealias GoldenColumns = [[Double?]]

func values(_ columns: GoldenColumns) -> [[Double]] {
  columns.map { $0.map { $0 ?? .nan } }
}
