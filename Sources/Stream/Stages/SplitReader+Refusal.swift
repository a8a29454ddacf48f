internal import Codecs
internal import Records

/// The bytes that are kept of a split that is given up.
extension SplitReader {
  private static let mostRefusedBytes = 64 << 10

  /// The first bytes of what the split is given up for, to keep them: its header, the line that cannot be read, or
  /// the compressed bytes that cannot be decompressed.
  func refusedStart(_ failure: SplitFailure) -> [UInt8] {
    let bytes: [UInt8]
    switch failure {
    case .stream: return []
    case .otherColumns: return Array((ownPrologue ?? []).prefix(Self.mostRefusedBytes))
    case .unreadable(.container): return Array(compressed.readable.prefix(Self.mostRefusedBytes))
    case .unreadable: bytes = Array(window.readable.prefix(Self.mostRefusedBytes))
    case .badRecord(_, let offset):
      bytes = Array(window.readable.dropFirst(offset).prefix(Self.mostRefusedBytes))
    }
    return Array(bytes.prefix((bytes.firstIndex(of: 0x0A) ?? bytes.endIndex - 1) + 1))
  }
}
