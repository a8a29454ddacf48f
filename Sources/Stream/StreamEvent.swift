package import Operators

/// Something that happened in a stream. It travels in band with the batch that it belongs to; the dead
/// letters, the log and the metrics consume it once that batch is written.
package enum StreamEvent: Sendable {
  /// A record was left out.
  case badRecord(RejectedRecord)
  /// An update was applied, which made the state version this one.
  case applied(update: String, stateVersion: Int)
  /// An operator raised an event that it declares.
  case raised(OperatorEvent)

  /// About the memory that it takes besides its own, in bytes.
  var byteCount: Int {
    switch self {
    case .badRecord(let record): record.bytes.count
    case .applied, .raised: 0
    }
  }
}

extension [StreamEvent] {
  var byteCount: Int { reduce(0) { $0 + $1.byteCount } }

  /// The records that were left out.
  var badRecords: [RejectedRecord] {
    compactMap { if case .badRecord(let record) = $0 { record } else { nil } }
  }
}
