package import Operators
package import Records

/// An event of a stream. It travels with its batch. Dead letters, log and metrics consume it when that batch is
/// written.
package enum StreamEvent: Sendable {
  /// The stream began: its features are known.
  case opened(StreamOpening)
  /// A record was dropped.
  case badRecord(RejectedRecord)
  /// An update was applied. `stateVersion` is the state version after it.
  case applied(update: String, stateVersion: Int)
  /// An operator raised an event that it declares.
  case raised(OperatorEvent)

  /// Its approximate additional memory, in bytes.
  var byteCount: Int {
    switch self {
    case .badRecord(let record): record.bytes.count
    case .opened, .applied, .raised: 0
    }
  }
}

extension [StreamEvent] {
  var byteCount: Int { reduce(0) { $0 + $1.byteCount } }

  /// The records that were dropped.
  var badRecords: [RejectedRecord] {
    compactMap { if case .badRecord(let record) = $0 { record } else { nil } }
  }
}
